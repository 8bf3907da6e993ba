//! Copies a source into the object, by parts of one multipart upload.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join;
use tokio::time::sleep;
use upreel_core::fetch::Started;
use upreel_core::quota::Refusal;
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Key, SourceUrl, Status};
use upreel_function::App;
use upreel_store::objects::{Completion, NamedPart};
use upreel_store::videos::UpdateOutcome;

use crate::client::Client;
use crate::source::{Error, Source};

/// S3's limit on the number of parts.
const MAX_PARTS: u64 = 10_000;

/// One attempt to copy a source, which may need several connections.
pub(crate) struct Copy<'a> {
    app: &'a App,
    client: &'a Client,
    key: &'a Key,
    url: SourceUrl,
    /// The largest size that is accepted.
    max: u64,
    /// The upload that this attempt writes to.
    upload: Option<String>,
    /// The number of parts that are stored in it.
    stored: usize,
}

/// Why a connection was not the last one.
enum Stop {
    Fault(Fault),
    Source(Error),
    /// The source is not accepted.
    Failure(Failure),
    /// The upload was completed or aborted by somebody else. The row says what to do.
    Gone,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

impl<'a> Copy<'a> {
    pub(crate) fn new(app: &'a App, client: &'a Client, key: &'a Key, url: SourceUrl) -> Self {
        let max = app.config.max_upload_bytes.min(client.limits.part as u64 * MAX_PARTS);
        Self { app, client, key, url, max, upload: None, stored: 0 }
    }

    /// Copies the source. Returns the failure to record, or `None` if there is nothing left to do.
    pub(crate) async fn run(mut self) -> Result<Option<Failure>, Fault> {
        let limits = self.client.limits;
        let (mut failures, mut stored) = (0, 0);
        loop {
            let error = match Box::pin(self.connection()).await {
                Ok(()) => return Ok(None),
                Err(Stop::Fault(fault)) => return Err(fault),
                Err(Stop::Failure(failure)) => return Ok(Some(failure)),
                Err(Stop::Source(error @ (Error::Refused(_) | Error::Unavailable(_)))) => {
                    return Ok(Some(error.failure()));
                }
                Err(Stop::Source(error)) => Some(error),
                Err(Stop::Gone) => None,
            };
            if self.stored > stored {
                (failures, stored) = (0, self.stored);
            }
            failures += 1;
            let Some(error) = error else {
                if failures >= limits.failures {
                    return Err(Fault::message("s3:UploadPart", "the upload keeps disappearing"));
                }
                continue;
            };
            tracing::info!(key = %self.key, host = self.url.host(), ?error, failures, "connection to the source failed");
            if failures >= limits.failures {
                return Ok(Some(error.failure()));
            }
            sleep(back_off(limits.back_off, failures)).await;
        }
    }

    /// Continues the upload with one connection to the source.
    async fn connection(&mut self) -> Result<(), Stop> {
        let (objects, key) = (&self.app.objects, self.key);
        let Some(record) = self.app.videos.get(key.video_id()).await? else { return Ok(()) };
        if !self.is_current(&record).await? {
            return Ok(());
        }
        let mut parts = Vec::new();
        if let Some(started) = &record.fetch {
            match objects.list_parts(key, &started.upload_id).await? {
                None if objects.exists(key).await? => return Ok(()),
                Some(stored) if started.etag.is_some() => {
                    let full = self.client.limits.part as u64;
                    let stored = stored.into_iter().zip(1..);
                    let stored =
                        stored.take_while(|(part, number)| part.number == *number && part.size == full);
                    parts =
                        stored.map(|(part, _)| NamedPart { number: part.number, etag: part.etag }).collect();
                }
                _ => {}
            }
        }
        let offset = parts.len() as u64 * self.client.limits.part as u64;
        let started = record.fetch.as_ref().filter(|_| offset > 0);
        if let Some(started) = started.filter(|started| started.size == Some(offset)) {
            return self.complete(record.clone(), &started.upload_id, &parts, offset).await;
        }
        let from = started.and_then(|started| Some((offset, started.etag.as_deref()?)));
        let source = self.client.open(&self.url, from).await?;
        if let Some(total) = source.total {
            self.check(&record, total).await?;
        }
        let upload = match (from, started) {
            (Some((_, etag)), Some(started)) if source.offset == offset => {
                if source.etag.as_deref().is_some_and(|now| now != etag) {
                    return Err(Error::Broken("a range of another version".to_owned()).into());
                }
                started.upload_id.clone()
            }
            _ => {
                parts.clear();
                self.begin(&record, &source).await?
            }
        };
        self.upload = Some(upload.clone());
        self.stored = parts.len();
        Box::pin(self.transfer(record, source, &upload, parts)).await
    }

    /// Returns whether this attempt has to go on. If the video was deleted, aborts the upload.
    async fn is_current(&self, record: &Record) -> Result<bool, Fault> {
        let upload = record.fetch.as_ref().map(|started| &started.upload_id);
        if record.video.status != Status::Pending {
            if let (Status::Deleted, Some(upload)) = (record.video.status, upload.or(self.upload.as_ref())) {
                self.app.objects.abort_multipart(self.key, upload).await?;
            }
            return Ok(false);
        }
        // Otherwise another attempt has started over.
        Ok(self.upload.is_none() || self.upload.as_ref() == upload)
    }

    /// Creates an upload, and records it in the row in place of an earlier one.
    async fn begin(&self, record: &Record, source: &Source) -> Result<String, Stop> {
        let (objects, key) = (&self.app.objects, self.key);
        let upload_id = objects.create_multipart(key, &record.video.content_type).await?;
        // Without the size it would not be known whether anything is left to request.
        let etag = source.etag.clone().filter(|_| source.total.is_some());
        let started = Started { upload_id: upload_id.clone(), etag, size: source.total, stored: 0 };
        if !self.app.videos.begin_fetch(key.video_id(), record.fetch.as_ref(), &started).await? {
            objects.abort_multipart(key, &upload_id).await?;
            return Err(Stop::Gone);
        }
        if let Some(previous) = &record.fetch {
            objects.abort_multipart(key, &previous.upload_id).await?;
        }
        Ok(upload_id)
    }

    /// Stores the rest of the source. The next part is read while one is stored.
    async fn transfer(
        &mut self,
        mut record: Record,
        mut source: Source,
        upload: &str,
        mut parts: Vec<NamedPart>,
    ) -> Result<(), Stop> {
        let part = self.client.limits.part;
        let (mut size, id) = (parts.len() as u64 * part as u64, self.key.video_id());
        let mut next = read(&mut source, part).await?;
        while let Some(bytes) = next {
            // For the user, and to find a deletion.
            record = match self.app.videos.continue_fetch(id, upload, size).await? {
                Some(record) if self.is_current(&record).await? => *record,
                _ => return Ok(()),
            };
            size += bytes.len() as u64;
            if size > self.max {
                return Err(self.too_large());
            }
            let number = u16::try_from(parts.len() + 1).unwrap_or(u16::MAX);
            let stored = self.app.objects.put_part(self.key, upload, number, bytes);
            let (stored, following) = join(stored, read(&mut source, part)).await;
            parts.push(NamedPart { number, etag: stored?.ok_or(Stop::Gone)? });
            self.stored = parts.len();
            next = following?;
        }
        if source.total.is_some_and(|total| total != size) {
            return Err(Error::Broken("a body of another size".to_owned()).into());
        }
        self.complete(record, upload, &parts, size).await
    }

    async fn complete(
        &self,
        record: Record,
        upload: &str,
        parts: &[NamedPart],
        size: u64,
    ) -> Result<(), Stop> {
        self.check(&record, size).await?;
        match self.app.objects.complete_multipart(self.key, upload, parts).await? {
            Completion::Done => {
                tracing::info!(key = %self.key, size, parts = parts.len(), "source copied");
                Ok(())
            }
            // Another attempt has replaced a part, or completed the upload.
            Completion::Refused | Completion::NoSuchUpload => Err(Stop::Gone),
        }
    }

    /// Checks a size, and reserves it if there are quotas.
    async fn check(&self, record: &Record, size: u64) -> Result<(), Stop> {
        if size == 0 {
            return Err(Stop::Failure(Failure::new(Failure::EMPTY_FILE, "The file is empty.")));
        }
        if size > self.max {
            return Err(self.too_large());
        }
        let Some(limits) = self.app.limits(&record.video.user_id).await? else { return Ok(()) };
        let reserved = self.app.videos.reserve(record.clone(), size, &limits).await?;
        reserved.map_err(|exceeded| {
            Stop::Failure(Failure::new(Failure::QUOTA_EXCEEDED, Refusal::Exceeded(exceeded).to_string()))
        })
    }

    fn too_large(&self) -> Stop {
        let message = format!("The file exceeds the maximum size of {} bytes.", self.max);
        Stop::Failure(Failure::new(Failure::TOO_LARGE, message))
    }
}

/// Records that the source cannot be copied, and removes the parts.
pub(crate) async fn abandon(app: &App, key: &Key, failure: &Failure) -> Result<(), Fault> {
    let id = key.video_id();
    let started = app.videos.get(id).await?.and_then(|record| record.fetch);
    let outcome = app.abandon(id, failure).await?;
    if let (UpdateOutcome::Recorded | UpdateOutcome::Deleted, Some(started)) = (outcome, started) {
        app.objects.abort_multipart(key, &started.upload_id).await?;
    }
    Ok(())
}

/// Reads up to `size` bytes; fewer only at the end of the source, and none after it.
async fn read(source: &mut Source, size: usize) -> Result<Option<Bytes>, Error> {
    let mut part = BytesMut::with_capacity(size);
    while part.len() < size {
        let Some(data) = source.next(size - part.len()).await? else { break };
        part.extend_from_slice(&data);
    }
    Ok(Some(part.freeze()).filter(|part| !part.is_empty()))
}

/// Returns the delay after this number of failures.
fn back_off(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
}
