//! Journeys across crates, and the rules of the tree: see `tests/`.
