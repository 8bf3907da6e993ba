//! Sequencers, and the keys of what is made of a video.

/// A sequencer. Upload `n` has the event `3 * n`, so that two successors fit in before that of the next upload.
pub(crate) type Event = u8;

/// The event that the reconciler sends for an upload without a known event.
pub(crate) const LOWEST: Event = 0;

pub(crate) const fn event_of(upload: u8) -> Event {
    3 * upload
}

pub(crate) fn successor(event: Event) -> Event {
    assert!(!(event + 1).is_multiple_of(3), "the model needs space for more successors");
    event + 1
}

/// What is made of a video.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Poster,
    Storyboard,
    Renditions,
}

/// The key of something that was made, as one bit of a set. Its name contains the event; the content is that of the
/// object that was read, which is a part of the name only for previews.
pub(crate) const fn key(kind: Kind, event: Event, content: u8) -> u64 {
    assert!(event < 10 && content >= 1 && content <= 2);
    1 << (20 * kind as u8 + 2 * event + content - 1)
}

/// The keys of the previews of one version.
pub(crate) const fn previews(event: Event, content: u8) -> u64 {
    key(Kind::Poster, event, content) | key(Kind::Storyboard, event, content)
}

/// The renditions of a run.
pub(crate) const fn renditions(run: Event) -> u64 {
    key(Kind::Renditions, run, 1) | key(Kind::Renditions, run, 2)
}

/// Everything that was made for a set of events, one bit for each.
pub(crate) fn made_by(events: u16) -> u64 {
    let events = (0..10).filter(|event| events & (1 << event) != 0);
    events.map(|event| previews(event, 1) | previews(event, 2) | renditions(event)).sum()
}

/// Everything that was made of a content. Nothing is made of 0, a missing object.
pub(crate) fn made_of(content: u8) -> u64 {
    if content == 0 { 0 } else { 0x0555_5555_5555_5555 << (content - 1) }
}
