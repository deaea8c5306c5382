//! KEKs in an HSM, over PKCS #11: each an AES-256 key that the token generated, marked sensitive and not extractable, found
//! again by its label. DEKs are wrapped inside of the token by AES-256-GCM, bound to the KEK's version and to what the caller
//! binds them to.
//!
//! GCM and not AES key wrap (RFC 3394, 5649), since key wrap has no associated data: a wrapped DEK of one merchant would open
//! in the place of another's. The nonce is random (96 bits) and drawn here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use data_encoding::HEXLOWER;
use kura_platform::random;
use kura_wire::sealed_box::length_prefixed;
use tokio::runtime::{Handle, RuntimeFlavor};
use zeroize::Zeroizing;

use super::aead::{NONCE_LEN, TAG_LEN};
use super::dev_file::require_private;
use super::key_provider::{DEK_LEN, DekBytes, Kek, KeyError, KeyProvider, ProviderKind, random_key};

const TAG_BITS: u64 = 128;

/// A token of an HSM.
pub struct Hsm(Arc<Token>);

struct Token {
    context: Pkcs11,
    slot: Slot,
    pin_file: PathBuf,
    /// Logged in; made anew when the token was restarted.
    session: Mutex<Option<Session>>,
}

impl Hsm {
    /// Loads the module, finds the token and logs in.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    pub fn open(module: &Path, token_label: &str, pin_file: &Path) -> Result<Self, KeyError> {
        let context = Pkcs11::new(module).map_err(failed)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        let slots = context.get_slots_with_initialized_token().map_err(failed)?;
        let labelled = |slot: &Slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == token_label);
        let mut found = slots.into_iter().filter(labelled);
        let none = || KeyError::Provider(format!("{}: no token is labelled {token_label:?}", module.display()));
        let slot = found.next().ok_or_else(none)?;
        if found.next().is_some() {
            return Err(KeyError::Provider(format!(
                "{}: several tokens are labelled {token_label:?}",
                module.display()
            )));
        }
        let token = Token { context, slot, pin_file: pin_file.to_owned(), session: Mutex::new(None) };
        token.with_session(|_| Ok(()))?;
        Ok(Self(Arc::new(token)))
    }
}

impl Token {
    fn log_in(&self) -> Result<Session, KeyError> {
        require_private(&self.pin_file)?;
        let read = std::fs::read_to_string(&self.pin_file);
        let read = read.map_err(|error| KeyError::Provider(format!("{}: {error}", self.pin_file.display())))?;
        let read = Zeroizing::new(read);
        let pin = AuthPin::new(read.trim_end_matches(['\r', '\n']).into());
        let session = self.context.open_rw_session(self.slot).map_err(failed)?;
        match session.login(UserType::User, Some(&pin)) {
            // Another session of this process has done it: a login is for all of them.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(failed(error)),
        }
    }

    fn forget_session(&self) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Uses the session; once more with a new one when the old one was lost. A call into the token takes as long as the token
    /// takes: other tasks of this thread go elsewhere meanwhile.
    fn with_session<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, KeyError> {
        let call = || {
            let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(session) = held.as_ref() {
                match work(session) {
                    Err(error) if is_lost(&error) => *held = None,
                    done => return done.map_err(refused),
                }
            }
            let session = self.log_in()?;
            let done = work(&session).map_err(refused);
            *held = Some(session);
            done
        };
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(call),
            _ => call(),
        }
    }
}

/// The session is gone, as after a restart of the token or a pulled cable.
fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::OperationActive
                | RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::TokenNotPresent
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid,
            _
        )
    )
}

/// Words that a token has for a tag that does not fit, if it has any: see [`HsmKek::unwrap`].
fn refused(error: Error) -> KeyError {
    match error {
        Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, _) => KeyError::Unwrap,
        other => failed(other),
    }
}

fn failed(error: Error) -> KeyError {
    KeyError::Provider(format!("HSM: {error}"))
}

impl KeyProvider for Hsm {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Pkcs11
    }

    fn make_kek(&self, version: i32) -> Result<Vec<u8>, KeyError> {
        // Of two nodes that make the same version at once, one's stays unused in the token: their labels differ.
        let label = format!("{}{}", label_head(version), HEXLOWER.encode(&random::bytes::<8>()));
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen((DEK_LEN as u64).into()),
            Attribute::Label(label.clone().into_bytes()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
        ];
        self.0.with_session(|session| session.generate_key(&Mechanism::AesKeyGen, &template).map(drop))?;
        Ok(label.into_bytes())
    }

    fn open_kek(&self, version: i32, material: &[u8]) -> Result<Arc<dyn Kek>, KeyError> {
        if !material.starts_with(label_head(version).as_bytes()) {
            return Err(KeyError::Unwrap);
        }
        let kek = HsmKek { token: Arc::clone(&self.0), label: material.to_vec(), version };
        kek.token.with_session(|session| kek.find(session))?.ok_or(KeyError::UnknownVersion(version))?;
        Ok(Arc::new(kek))
    }
}

fn label_head(version: i32) -> String {
    format!("kura-kek-{version}-")
}

/// A KEK that never left its token.
struct HsmKek {
    token: Arc<Token>,
    label: Vec<u8>,
    version: i32,
}

impl HsmKek {
    /// The key, if there is exactly one of this label and it was made in the token and can't leave it: a key that somebody
    /// put there under this label is refused.
    fn find(&self, session: &Session) -> Result<Option<ObjectHandle>, Error> {
        let wanted = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(self.label.clone()),
            Attribute::Local(true),
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
        ];
        match session.find_objects(&wanted)?.as_slice() {
            [one] => Ok(Some(*one)),
            _ => Ok(None),
        }
    }

    fn with_key<T>(&self, work: impl Fn(&Session, ObjectHandle) -> Result<T, Error>) -> Result<T, KeyError> {
        let with_found = || {
            self.token.with_session(|session| match self.find(session)? {
                Some(key) => work(session, key).map(Some),
                None => Ok(None),
            })
        };
        if let Some(done) = with_found()? {
            return Ok(done);
        }
        // To a session that was logged out, a token simply shows no private key.
        self.token.forget_session();
        with_found()?.ok_or(KeyError::UnknownVersion(self.version))
    }

    fn decrypt(&self, nonce: [u8; NONCE_LEN], sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let opened = self.with_key(|session, key| {
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
            session.decrypt(&Mechanism::AesGcm(gcm), key, sealed)
        });
        opened.map(Zeroizing::new)
    }

    fn is_well(&self) -> bool {
        let wrapped = self.wrap(&random_key(), b"probe");
        let opened = wrapped.map(|wrapped| {
            let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>()?;
            self.decrypt(*nonce, sealed, &self.aad(b"probe")).ok()
        });
        matches!(opened, Ok(Some(_)))
    }

    fn aad(&self, binding: &[u8]) -> Vec<u8> {
        length_prefixed(&[b"kura pkcs11 wrap v1", &self.version.to_be_bytes(), binding])
    }
}

impl Kek for HsmKek {
    fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError> {
        let aad = self.aad(binding);
        let nonce = random::bytes::<NONCE_LEN>();
        let sealed = self.with_key(|session, key| {
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, &aad, TAG_BITS.into())?;
            session.encrypt(&Mechanism::AesGcm(gcm), key, dek.as_slice())
        })?;
        if sealed.len() != DEK_LEN + TAG_LEN {
            return Err(KeyError::Provider("HSM: AES-GCM gave something of another length".to_owned()));
        }
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn unwrap(&self, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(KeyError::Unwrap)?;
        if sealed.len() != DEK_LEN + TAG_LEN {
            return Err(KeyError::Unwrap);
        }
        let aad = self.aad(binding);
        let opened = match self.decrypt(*nonce, sealed, &aad) {
            // Tokens that have no word for it say "general error" to a tag that does not fit (SoftHSM). So one that opens
            // what it has just wrapped is well, and if this still fails, it is this that does not open.
            Err(KeyError::Provider(_)) if self.is_well() => {
                self.decrypt(*nonce, sealed, &aad).map_err(|_| KeyError::Unwrap)?
            }
            other => other?,
        };
        let mut dek = Box::new(Zeroizing::new([0; DEK_LEN]));
        if opened.len() != DEK_LEN {
            return Err(KeyError::Unwrap);
        }
        dek.copy_from_slice(&opened);
        Ok(dek)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    /// A lost session is made anew; a refusal is not asked for a second time.
    #[test]
    fn lost_sessions_are_told_apart() {
        let of = |code| Error::Pkcs11(code, Function::Decrypt);
        for lost in [
            RvError::SessionHandleInvalid,
            RvError::SessionClosed,
            RvError::UserNotLoggedIn,
            RvError::OperationActive,
            RvError::DeviceRemoved,
            RvError::DeviceError,
            RvError::TokenNotPresent,
            RvError::KeyHandleInvalid,
            RvError::ObjectHandleInvalid,
        ] {
            assert!(is_lost(&of(lost)), "{lost:?}");
        }
        for refused in [RvError::GeneralError, RvError::EncryptedDataInvalid, RvError::PinIncorrect] {
            assert!(!is_lost(&of(refused)), "{refused:?}");
        }
    }

    /// A tag that does not fit is an alert; other trouble of the token is none.
    #[test]
    fn a_wrong_tag_is_told_apart() {
        let of = |code| refused(Error::Pkcs11(code, Function::Decrypt));
        assert!(matches!(of(RvError::EncryptedDataInvalid), KeyError::Unwrap));
        assert!(matches!(of(RvError::EncryptedDataLenRange), KeyError::Unwrap));
        assert!(matches!(of(RvError::GeneralError), KeyError::Provider(_)));
    }

    /// No version's label begins another's.
    #[test]
    fn labels_name_their_version() {
        assert_eq!(label_head(1), "kura-kek-1-");
        assert!(!label_head(12).starts_with(&label_head(1)));
    }
}
