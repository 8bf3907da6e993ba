//! Whole journeys: a real client, the real functions, real S3 and DynamoDB protocols, real ffmpeg.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod contracts;
mod events;
mod harness;
mod multipart;
mod posters;
mod presign;
mod restart;
mod routes;
mod transcodes;
mod upload;
mod videos;
mod webhooks;
