//! Password hashing: argon2id (m = 19 MiB, t = 2, p = 1, OWASP's first choice), off the runtime's threads, few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::password::Password;

/// Hashes at the same time. Each takes 19 MiB and one core.
const AT_ONCE: usize = 2;
/// Who waits longer is told to come back.
const QUEUE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many at once.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// A stored hash is not one of ours, or argon2 refused.
    #[error("argon2: {0}")]
    Argon2(#[from] argon2::password_hash::Error),
    /// A stored hash is not a PHC string.
    #[error("a stored password hash can't be read")]
    Malformed,
    /// The thread was lost.
    #[error("hashing was interrupted")]
    Interrupted,
}

/// Hashes and verifies.
#[derive(Clone)]
pub struct Hasher {
    permits: Arc<Semaphore>,
    /// The hash of a password that nobody has: verified where there is no account, so that both take the same time.
    nobody: Arc<str>,
}

impl Hasher {
    /// Ready to use.
    ///
    /// # Errors
    /// When argon2 doesn't work here.
    pub fn new() -> Result<Self, HashError> {
        let nobody = hash(&kura_platform::random::bytes::<32>())?;
        Ok(Self { permits: Arc::new(Semaphore::new(AT_ONCE)), nobody: nobody.into() })
    }

    /// A PHC string of a chosen password, under a fresh salt.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let permit = self.permit().await?;
        run(permit, move || hash(password.reveal_to_hasher())).await
    }

    /// Whether the password is that of the stored hash. `None` takes the same time and is never right.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<bool, HashError> {
        let permit = self.permit().await?;
        let nobody = Arc::clone(&self.nobody);
        run(permit, move || {
            let matches = verify(password.reveal_to_hasher(), stored.as_deref().unwrap_or(&nobody))?;
            Ok(matches && stored.is_some())
        })
        .await
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, HashError> {
        let permit = tokio::time::timeout(QUEUE, Arc::clone(&self.permits).acquire_owned());
        permit.await.map_err(|_| HashError::Busy)?.map_err(|_| HashError::Interrupted)
    }
}

async fn run<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
) -> Result<T, HashError> {
    let done = tokio::task::spawn_blocking(move || {
        let _held_to_the_end = permit;
        work()
    });
    done.await.map_err(|_| HashError::Interrupted)?
}

fn argon2id() -> Argon2<'static> {
    // The default parameters are these; a test holds them to it.
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn hash(password: &[u8]) -> Result<String, HashError> {
    let salt = kura_platform::random::bytes::<16>();
    Ok(argon2id().hash_password_with_salt(password, &salt)?.to_string())
}

fn verify(password: &[u8], stored: &str) -> Result<bool, HashError> {
    let stored = PasswordHash::new(stored).map_err(|_| HashError::Malformed)?;
    match argon2id().verify_password(password, &stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        serde_json::from_value(text.into()).unwrap()
    }

    /// The right password verifies and a wrong one doesn't; two hashes of one password differ; the parameters are as stated.
    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let hasher = Hasher::new().unwrap();
        let stored = hasher.hash(password("nine quiet lanterns")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, hasher.hash(password("nine quiet lanterns")).await.unwrap());
        assert!(hasher.verify(password("nine quiet lanterns"), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify(password("nine quiet lantern"), Some(stored)).await.unwrap());
    }

    /// Where there is no account nothing is right, and the work done is that of a real verification.
    #[tokio::test]
    async fn nobody_has_no_password_but_takes_as_long() {
        let hasher = Hasher::new().unwrap();
        let stored = hasher.hash(password("nine quiet lanterns")).await.unwrap();
        let time = async |stored: Option<String>| {
            let start = std::time::Instant::now();
            for _ in 0..5 {
                assert!(!hasher.verify(password("wrong"), stored.clone()).await.unwrap());
            }
            start.elapsed().as_secs_f64()
        };
        let (somebody, nobody) = (time(Some(stored)).await, time(None).await);
        assert!(nobody > somebody / 3.0 && nobody < somebody * 3.0, "{nobody} s against {somebody} s");
    }
}
