//! Keys that everybody knows: in standards, in other projects' samples, in our own documentation. None of them is a secret.

use data_encoding::HEXLOWER;

/// In hexadecimal: FIPS 197 appendix C.3, SP 800-38A F.1.5, the GCM specification's test case 16 (which is also the sample key
/// of more than one vault), RFC 9180's and RFC 7748's sample secrets, and the share of our own documentation.
const PUBLISHED: [&str; 7] = [
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
    "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
    "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
    EXAMPLE,
];

/// The bytes of the share in our documentation.
pub(crate) const EXAMPLE: &str = "6b757261e4f1b2d83c95a7061ed9408fb35a2c7e91d6f8034b8e6c19a7f0d25c";

/// Whether these 32 bytes are no secret: published, or with so little in them that anybody would try them.
pub(crate) fn is_known(bytes: &[u8; 32]) -> bool {
    is_trivial(bytes) || PUBLISHED.iter().any(|known| HEXLOWER.encode(bytes) == *known)
}

/// All the same, counting up or down, or a shorter text again and again.
pub(crate) fn is_trivial(bytes: &[u8; 32]) -> bool {
    let step = |pair: &[u8]| match pair {
        [a, b] => b.wrapping_sub(*a),
        _ => 0,
    };
    let mut steps = bytes.windows(2).map(step);
    let first = steps.next().unwrap_or_default();
    if steps.all(|step| step == first) {
        return true;
    }
    (1..=16).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b))
}
