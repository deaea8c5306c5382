//! The development certificates: an internal CA for the zones, another for the payment networks, and what they issue.
//!
//! What never leaves: the CAs' keys, from `ca/` in the state directory; no service's configuration names them.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use x509_parser::pem::parse_x509_pem;

use crate::state::{State, private_directory, read_if_there, write_private};

const CA_LIFE: Duration = Duration::days(365);
const LEAF_LIFE: Duration = Duration::days(30);
const RENEW_BEFORE: Duration = Duration::days(2);
/// Clocks of one machine agree; a laptop's may be set back a little.
const BACKDATED: Duration = Duration::hours(1);

/// Who may use a certificate for what.
#[derive(Clone, Copy)]
enum Use {
    /// A zone: it listens and it calls.
    Both,
    Server,
    Client,
}

/// One certificate to issue.
struct Leaf {
    /// Directory in the state directory.
    directory: &'static str,
    /// The one DNS name.
    name: &'static str,
    usage: Use,
}

const INTERNAL: &[Leaf] = &[
    Leaf { directory: "vault/tls", name: "vault.kura.internal", usage: Use::Both },
    Leaf { directory: "gateway/tls", name: "gateway.kura.internal", usage: Use::Both },
    Leaf { directory: "admin/tls", name: "admin.kura.internal", usage: Use::Both },
];
const NETWORKS: &[Leaf] = &[
    Leaf { directory: "networks/tls", name: "acquirer.networks.example", usage: Use::Server },
    Leaf { directory: "networks/services-tls", name: "services.networks.example", usage: Use::Server },
    Leaf { directory: "vault/acquirer-tls", name: "kura-vault.networks.example", usage: Use::Client },
];

/// Makes what is missing and renews what ends soon.
///
/// # Errors
/// When a file can't be read or written.
pub(crate) fn ensure(state: &State) -> Result<()> {
    private_directory(&state.path("ca"))?;
    for (file, name, leaves) in
        [("internal", "Kura development, internal", INTERNAL), ("networks", "Kura development, networks", NETWORKS)]
    {
        let authority = Authority::ensure(&state.path("ca"), file, name)?;
        for leaf in leaves {
            authority.ensure_leaf(state, leaf).with_context(|| format!("the certificate of {}", leaf.name))?;
        }
    }
    Ok(())
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn ensure(directory: &Path, file: &str, name: &str) -> Result<Self> {
        let (certificate, key) = (directory.join(format!("{file}.pem")), directory.join(format!("{file}.key")));
        if let (Some(pem), Some(key)) = (read_if_there(&certificate)?, read_if_there(&key)?)
            && lasts(&pem)
        {
            // An issuer is its name and its key; the rest of the certificate on disk is not repeated in what it issues.
            return Ok(Self { issuer: Issuer::new(authority_params(name), KeyPair::from_pem(&key)?), pem });
        }
        let params = authority_params(name);
        let pair = KeyPair::generate()?;
        let pem = params.self_signed(&pair)?.pem();
        write_private(&key, pair.serialize_pem().as_bytes())?;
        write_private(&certificate, pem.as_bytes())?;
        Ok(Self { issuer: Issuer::new(params, pair), pem })
    }

    fn ensure_leaf(&self, state: &State, leaf: &Leaf) -> Result<()> {
        let directory = state.path(leaf.directory);
        private_directory(&directory)?;
        let [certificate, key, ca] = ["certificate.pem", "key.pem", "ca.pem"].map(|file| directory.join(file));
        let of_this_ca = read_if_there(&ca)?.as_deref() == Some(self.pem.as_str());
        if of_this_ca && key.is_file() && read_if_there(&certificate)?.is_some_and(|pem| lasts(&pem)) {
            return Ok(());
        }
        let mut params = params(leaf.name, LEAF_LIFE);
        params.subject_alt_names = CertificateParams::new([leaf.name.to_owned()])?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match leaf.usage {
            Use::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Use::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Use::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let pair = KeyPair::generate()?;
        let issued = params.signed_by(&pair, &self.issuer)?;
        write_private(&key, pair.serialize_pem().as_bytes())?;
        write_private(&certificate, issued.pem().as_bytes())?;
        write_private(&ca, self.pem.as_bytes())
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name, CA_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = kura_platform::clock::now();
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
    params
}

/// Whether the certificate is good for longer than [`RENEW_BEFORE`].
fn lasts(pem: &str) -> bool {
    not_after(pem).is_some_and(|end| end - kura_platform::clock::now() > RENEW_BEFORE)
}

fn not_after(pem: &str) -> Option<OffsetDateTime> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    Some(pem.parse_x509().ok()?.validity().not_after.to_datetime())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(life: Duration) -> String {
        params("test", life).self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    /// A certificate is kept until two days before its end; what is no certificate is made anew.
    #[test]
    fn certificates_are_renewed_before_they_end() {
        assert!(lasts(&pem(Duration::days(3))));
        assert!(!lasts(&pem(Duration::days(1))));
        assert!(!lasts("not a certificate"));
    }

    /// Each zone's certificate has exactly one DNS name and passes on both sides of a connection; a second call changes nothing.
    #[test]
    fn each_certificate_names_one_zone() {
        let directory = std::env::temp_dir().join(format!("kura-certificates-{}", crate::state::random_secret()));
        let state = State::take(&directory).unwrap();
        ensure(&state).unwrap();
        let path = state.path("vault/tls/certificate.pem");
        let first = std::fs::read(&path).unwrap();
        let (_, parsed) = parse_x509_pem(&first).unwrap();
        let certificate = parsed.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(format!("{:?}", names.value.general_names), "[DNSName(\"vault.kura.internal\")]");
        let usage = certificate.extended_key_usage().unwrap().unwrap();
        assert!(usage.value.server_auth && usage.value.client_auth);
        ensure(&state).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
