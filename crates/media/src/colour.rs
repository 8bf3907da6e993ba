//! Colour code points (ITU-T H.273), which the containers store.

/// Returns `FFmpeg`'s name for a transfer characteristics code point (H.273, table 3), or `None` if it is unspecified
/// or reserved.
pub(crate) fn transfer_name(code: u64) -> Option<&'static str> {
    Some(match code {
        1 => "bt709",
        4 => "bt470m",
        5 => "bt470bg",
        6 => "smpte170m",
        7 => "smpte240m",
        8 => "linear",
        9 => "log100",
        10 => "log316",
        11 => "iec61966-2-4",
        12 => "bt1361e",
        13 => "iec61966-2-1",
        14 => "bt2020-10",
        15 => "bt2020-12",
        16 => "smpte2084",
        17 => "smpte428",
        18 => "arib-std-b67",
        _ => return None,
    })
}

/// Returns whether `name` is one of `FFmpeg`'s names for transfer characteristics.
pub(crate) fn is_transfer_name(name: &str) -> bool {
    (0..=18).any(|code| transfer_name(code) == Some(name))
}
