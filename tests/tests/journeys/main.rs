//! End-to-end tests with a real HTTP client, the real functions, the real protocols of S3 and DynamoDB, and ffmpeg.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test")]

mod access;
mod audio;
mod captions;
mod checks;
mod contracts;
mod details;
mod events;
mod fetch;
mod formats;
mod harness;
mod images;
mod import;
mod load;
mod multipart;
mod playback;
mod posters;
mod presign;
mod quotas;
mod reconcile;
mod replays;
mod responses;
mod restart;
mod routes;
mod tasks;
mod transcodes;
mod transitions;
mod upload;
mod videos;
mod watched;
mod webhooks;
