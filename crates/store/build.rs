//! Extracts the root certificates of AWS's endpoints from Mozilla's list, so that a function embeds and parses only
//! these.

use std::path::PathBuf;
use std::{env, fs, io};

use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// The roots of Amazon Trust Services, see <https://www.amazontrust.com/repository/>.
const ROOTS: [&str; 5] = [
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut pem = String::new();
    for name in ROOTS {
        let found: Vec<_> = TLS_SERVER_ROOT_CERTS.iter().filter(|root| has_name(root, name)).collect();
        let [root] = found[..] else {
            panic!("expected one root named {name} in Mozilla's list, found {}", found.len())
        };
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&base64_simd::STANDARD.encode_to_string(root));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    #[expect(clippy::disallowed_methods, reason = "Cargo names the folder so")]
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(folder.join("amazon.pem"), pem)
}

/// Returns whether `name` is the common name of a root. A root is self-signed, so the name occurs twice: as the issuer
/// and as the subject.
fn has_name(certificate: &[u8], name: &str) -> bool {
    // DER: a UTF8String or PrintableString of this length.
    let named = |tag: u8| {
        let text = [&[tag, u8::try_from(name.len()).unwrap_or_default()], name.as_bytes()].concat();
        certificate.windows(text.len()).filter(|window| *window == text).count()
    };
    named(0x0c) + named(0x13) == 2
}
