//! Videos that the backend fetches itself: the URL of the source, which addresses it may have, and what is left to do.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest URL of a source, in bytes. Presigned URLs with a session token have up to 2,000.
const MAX_URL: usize = 4096;

/// The URL of a source: `https`, port 443, without credentials. Its query may be a signature, so `Debug` and `Display` show
/// the host only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUrl(Url);

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no absolute URL, or too long.
    #[error(
        "The URL is malformed. Send an absolute one of at most 4,096 characters, such as https://example.com/clip.mp4."
    )]
    Malformed,
    /// The scheme is not `https`.
    #[error("The URL must begin with https://.")]
    Scheme,
    /// It has a user name or a password.
    #[error("The URL must not contain a user name or a password.")]
    Credentials,
    /// It has another port than 443.
    #[error("The URL must not have another port than 443.")]
    Port,
    /// Its host is, or resolves to, an address that is not public.
    #[error("The host of the URL has no public address.")]
    Address,
}

impl SourceUrl {
    /// Parses the URL of a source. A host that is a name is checked when it is resolved.
    ///
    /// # Errors
    /// When the URL is refused.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > MAX_URL {
            return Err(Refused::Malformed);
        }
        Self::new(Url::parse(text).map_err(|_| Refused::Malformed)?)
    }

    /// Returns the URL that a redirect refers to.
    ///
    /// # Errors
    /// When the URL is refused.
    pub fn join(&self, location: &str) -> Result<Self, Refused> {
        if location.len() > MAX_URL {
            return Err(Refused::Malformed);
        }
        Self::new(self.0.join(location).map_err(|_| Refused::Malformed)?)
    }

    fn new(mut url: Url) -> Result<Self, Refused> {
        if url.scheme() != "https" {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        // The parser removes the port of the scheme.
        if url.port().is_some() {
            return Err(Refused::Port);
        }
        let is_allowed = match url.host() {
            None => false,
            Some(Host::Domain(name)) => !name.is_empty(),
            Some(Host::Ipv4(ip)) => is_public(ip.into()),
            Some(Host::Ipv6(ip)) => is_public(ip.into()),
        };
        url.set_fragment(None);
        if is_allowed { Ok(Self(url)) } else { Err(Refused::Address) }
    }

    /// Returns the host as in the header `Host`: a name in its ASCII form, or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Returns the address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }

    /// Returns the path and the query, which is the target of the request.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// Returns the last segment of the path, as a file name; empty if the path ends in a slash.
    #[must_use]
    pub fn file_name(&self) -> String {
        let last = self.0.path().rsplit('/').next().unwrap_or_default();
        percent_decode_str(last).decode_utf8_lossy().into_owned()
    }
}

impl TryFrom<String> for SourceUrl {
    type Error = Refused;

    fn try_from(text: String) -> Result<Self, Refused> {
        Self::parse(&text)
    }
}

impl From<SourceUrl> for String {
    fn from(url: SourceUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/...", self.host())
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The event of the `fetch` function: a video to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The key of the object to store.
    pub key: String,
    /// The source.
    pub url: SourceUrl,
    /// When the video has to be complete, in seconds since 1970.
    pub until: u64,
}

/// The multipart upload that a source is copied to, as an attribute of the row: what a later attempt continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The identifier of the multipart upload.
    pub upload_id: String,
    /// The strong entity tag of the source, with its quotes. Without one, the upload cannot be continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The size of the source in bytes, if it states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The bytes that are stored. The last part may be missing from it.
    #[serde(default)]
    pub stored: u64,
}

/// How much of a video is copied, as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    bytes_done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_total: Option<u64>,
}

impl From<&Started> for Copied {
    fn from(started: &Started) -> Self {
        Self { bytes_done: started.stored, bytes_total: started.size }
    }
}

/// Returns whether an address is a public one, by the registries of special-purpose addresses of IANA (RFC 6890): globally
/// reachable, and the same host for everyone.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|&(net, bits)| is_in(ip, net, bits)),
        // Only 2000::/3 is assigned for global unicast. So ::1, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96, and IPv4 addresses
        // that are written as IPv6 ones are refused without being listed.
        IpAddr::V6(ip) => is_in_v6(ip, (0x2000, 0, 3)) && !SPECIAL_V6.iter().any(|&net| is_in_v6(ip, net)),
    }
}

/// Networks that are not public: "this network", private use (3), shared address space, loopback, link local, protocol
/// assignments, documentation (3), relays of 6to4, benchmarks, multicast, reserved.
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

/// Networks within `2000::/3` that are not public, as the first two groups and the number of bits: protocol assignments with
/// Teredo, documentation (2), and 6to4.
const SPECIAL_V6: [(u16, u16, u32); 4] =
    [(0x2001, 0, 23), (0x2001, 0xdb8, 32), (0x2002, 0, 16), (0x3fff, 0, 20)];

fn is_in(ip: Ipv4Addr, net: [u8; 4], bits: u32) -> bool {
    (ip.to_bits() ^ u32::from_be_bytes(net)) >> (32 - bits) == 0
}

fn is_in_v6(ip: Ipv6Addr, (first, second, bits): (u16, u16, u32)) -> bool {
    let [a, b, ..] = ip.segments();
    let [ip, net] = [(a, b), (first, second)].map(|(a, b)| u32::from(a) << 16 | u32::from(b));
    (ip ^ net) >> (32 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused() {
        for special in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn public_addresses_are_accepted_up_to_the_borders() {
        for public in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2a00::1",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn only_https_urls_with_public_hosts_are_accepted() {
        for (text, refused) in [
            ("", Refused::Malformed),
            ("clip.mp4", Refused::Malformed),
            ("//example.com/a", Refused::Malformed),
            ("https://", Refused::Malformed),
            ("http://example.com/a", Refused::Scheme),
            ("file:///etc/passwd", Refused::Scheme),
            ("s3://bucket/a", Refused::Scheme),
            ("https://u@example.com/a", Refused::Credentials),
            ("https://u:p@example.com/a", Refused::Credentials),
            ("https://:p@example.com/a", Refused::Credentials),
            ("https://example.com:80/a", Refused::Port),
            ("https://example.com:8443/a", Refused::Port),
            ("https://127.0.0.1/a", Refused::Address),
            ("https://0x7f.1/a", Refused::Address),
            ("https://2130706433/a", Refused::Address),
            ("https://017700000001/a", Refused::Address),
            ("https://169.254.169.254/latest/meta-data", Refused::Address),
            ("https://[::1]/a", Refused::Address),
            ("https://[::ffff:a9fe:a9fe]/a", Refused::Address),
            ("https://１２７.0.0.1/a", Refused::Address),
        ] {
            assert_eq!(SourceUrl::parse(text), Err(refused), "{text}");
        }
        assert_eq!(
            SourceUrl::parse(&format!("https://a.example/{}", "x".repeat(MAX_URL))),
            Err(Refused::Malformed)
        );
        for text in [
            "https://example.com:443/a",
            "HTTPS://EXAMPLE.com/a",
            "https:\\\\example.com\\a",
            "https://example.com/a#t=1",
        ] {
            let url = SourceUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.target()), ("example.com", "/a"), "{text}");
        }
        assert_eq!(SourceUrl::parse("https://[2a00::1]/a").unwrap().host(), "[2a00::1]");
        assert_eq!(SourceUrl::parse("https://bücher.example/").unwrap().host(), "xn--bcher-kva.example");
    }

    #[test]
    fn redirects_are_checked_like_the_first_url() {
        let url = SourceUrl::parse("https://a.example/folder/b?c=d").unwrap();
        let join = |location: &str| url.join(location).map(|url| format!("{}{}", url.host(), url.target()));
        assert_eq!(join("e").as_deref(), Ok("a.example/folder/e"));
        assert_eq!(join("/e?f").as_deref(), Ok("a.example/e?f"));
        assert_eq!(join("//b.example/e").as_deref(), Ok("b.example/e"));
        assert_eq!(join("https://b.example").as_deref(), Ok("b.example/"));
        assert_eq!(join("http://a.example/e"), Err(Refused::Scheme));
        assert_eq!(join("//10.0.0.1/e"), Err(Refused::Address));
        assert_eq!(join("https://u:p@a.example/"), Err(Refused::Credentials));
        assert_eq!(join("//a.example:22/"), Err(Refused::Port));
    }

    #[test]
    fn a_signature_is_never_shown() {
        let url = SourceUrl::parse("https://a.example/clip.mp4?X-Amz-Signature=secret").unwrap();
        let fetch = Fetch { key: "k".to_owned(), url, until: 1 };
        let shown = format!("{fetch:?} {}", fetch.url);
        assert!(!shown.contains("secret") && shown.contains("a.example"), "{shown}");
        let json = serde_json::to_string(&fetch).unwrap();
        assert_eq!(serde_json::from_str::<Fetch>(&json).unwrap(), fetch);
        assert!(serde_json::from_str::<Fetch>(&json.replace("https", "http")).is_err());
    }

    #[test]
    fn file_name_is_the_last_segment() {
        let name = |text| SourceUrl::parse(text).unwrap().file_name();
        assert_eq!(name("https://a.example/b/c%20d.mp4?e=f.mov"), "c d.mp4");
        assert_eq!(name("https://a.example"), "");
        assert_eq!(name("https://a.example/b%2Fc.mp4"), "b/c.mp4");
    }
}
