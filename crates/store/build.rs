//! Takes the roots of AWS's endpoints out of Mozilla's list, so that a function holds and parses only these.

use std::path::PathBuf;
use std::{env, fs, io};

use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Amazon Trust Services: all that its certificates chain to, see <https://www.amazontrust.com/repository/>.
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
        let found: Vec<_> = TLS_SERVER_ROOT_CERTS.iter().filter(|root| names(root, name)).collect();
        let [root] = found[..] else {
            panic!("Mozilla's list has {} roots of this name: {name}", found.len())
        };
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&base64_simd::STANDARD.encode_to_string(root));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(folder.join("amazon.pem"), pem)
}

/// A root signs itself, so its common name is there twice: as the issuer's and as the subject's.
fn names(certificate: &[u8], name: &str) -> bool {
    // DER: a UTF8String or PrintableString of this length.
    let named = |tag: u8| {
        let text = [&[tag, u8::try_from(name.len()).unwrap_or_default()], name.as_bytes()].concat();
        certificate.windows(text.len()).filter(|window| *window == text).count()
    };
    named(0x0c) + named(0x13) == 2
}
