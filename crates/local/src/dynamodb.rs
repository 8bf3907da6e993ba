//! DynamoDB: `dynoxide` on `SQLite`, served over HTTP so that the functions use the AWS SDK as they do when deployed.
//!
//! A write with its index and stream records is one transaction in a write-ahead log, so it survives a kill. Creating a
//! table takes several transactions: a marker file exists until all of them are done.

pub(crate) mod server;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use dynoxide::Database;

/// Interval at which expired rows are deleted. AWS takes up to days; a minute keeps the web page up to date.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Opens the database in a file, or in memory without one. A database whose creation was killed is created again; no
/// client has used it.
pub(crate) fn open(file: Option<&Path>) -> Result<Database, String> {
    let Some(file) = file else { return Database::memory().map_err(|error| error.to_string()) };
    let marker = marker(file);
    if !file.exists() {
        fs::write(&marker, "").map_err(|error| error.to_string())?;
    } else if marker.exists() {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = file.as_os_str().to_owned();
            path.push(suffix);
            remove(Path::new(&path))?;
        }
    }
    Database::new(&file.to_string_lossy()).map_err(|error| error.to_string())
}

/// Ends the creation of the database in this file.
pub(crate) fn created(file: &Path) -> Result<(), String> {
    remove(&marker(file))
}

/// Returns the file that exists while the database is being created.
fn marker(file: &Path) -> PathBuf {
    file.with_extension("creating")
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Deletes expired rows, until the future is dropped.
pub(crate) async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(rows)) => tracing::info!(rows, "deleted expired rows"),
            Ok(Err(error)) => tracing::warn!(%error, "could not delete expired rows"),
        }
    }
}

/// Creates the table with the schema of `template.yaml`, unless it exists. Adds the indexes that a table of an earlier
/// release lacks.
pub(crate) async fn create_table(sdk: &SdkConfig, table: &str) -> Result<(), String> {
    let client = Client::new(sdk);
    let schema = Schema::new().map_err(|error| error.to_string())?;
    if let Ok(described) = client.describe_table().table_name(table).send().await {
        let indexes = described.table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
        for index in schema.added {
            if indexes.iter().any(|found| found.index_name() == Some(index.index_name())) {
                continue;
            }
            let update = client.update_table().table_name(table);
            let update = update.set_attribute_definitions(Some(schema.attributes.clone()));
            let create = GlobalSecondaryIndexUpdate::builder().create(index).build();
            let update = update.global_secondary_index_updates(create).send().await;
            update.map_err(|error| DisplayErrorContext(error).to_string())?;
        }
        return Ok(());
    }
    let create = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(schema.attributes))
        .key_schema(schema.key)
        .set_global_secondary_indexes(Some(schema.indexes));
    create.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
    let ttl = client.update_time_to_live().table_name(table).time_to_live_specification(schema.ttl);
    ttl.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
    Ok(())
}

/// The schema of the table.
struct Schema {
    attributes: Vec<AttributeDefinition>,
    key: KeySchemaElement,
    indexes: Vec<GlobalSecondaryIndex>,
    /// The indexes that were added after the first release.
    added: Vec<CreateGlobalSecondaryIndexAction>,
    ttl: TimeToLiveSpecification,
}

impl Schema {
    fn new() -> Result<Self, BuildError> {
        use ScalarAttributeType::{N, S};
        let attributes = [
            ("videoId", S),
            ("userId", S),
            ("uploadTime", S),
            ("shard", S),
            ("due", N),
            ("expiryShard", S),
            ("expiresAt", S),
        ];
        let attributes = attributes.into_iter().map(|(name, kind)| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
        });
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let projection = |kind| Projection::builder().projection_type(kind).build();
        let sparse = [("byDue", "shard", "due"), ("byExpiry", "expiryShard", "expiresAt")];
        let mut indexes = vec![
            GlobalSecondaryIndex::builder()
                .index_name("byUser")
                .key_schema(key("userId", KeyType::Hash)?)
                .key_schema(key("uploadTime", KeyType::Range)?)
                .projection(projection(ProjectionType::All))
                .build()?,
        ];
        let mut added = Vec::new();
        for (name, hash, range) in sparse {
            let index = CreateGlobalSecondaryIndexAction::builder()
                .index_name(name)
                .key_schema(key(hash, KeyType::Hash)?)
                .key_schema(key(range, KeyType::Range)?)
                .projection(projection(ProjectionType::KeysOnly))
                .build()?;
            let created = GlobalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(index.key_schema.clone()))
                .set_projection(index.projection.clone());
            indexes.push(created.build()?);
            added.push(index);
        }
        Ok(Self {
            attributes: attributes.collect::<Result<_, _>>()?,
            key: key("videoId", KeyType::Hash)?,
            indexes,
            added,
            ttl: TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build()?,
        })
    }
}

/// Turns the table's stream on or off. Does nothing if it already is.
pub(crate) async fn set_stream(sdk: &SdkConfig, table: &str, on: bool) -> Result<(), String> {
    let client = Client::new(sdk);
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| DisplayErrorContext(error).to_string())?;
    let stream = described.table.and_then(|table| table.stream_specification);
    if stream.is_some_and(|stream| stream.stream_enabled) == on {
        return Ok(());
    }
    let stream = StreamSpecification::builder()
        .stream_enabled(on)
        .set_stream_view_type(on.then_some(StreamViewType::NewAndOldImages))
        .build()
        .map_err(|error| error.to_string())?;
    let update = client.update_table().table_name(table).stream_specification(stream);
    update.send().await.map(drop).map_err(|error| DisplayErrorContext(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_whose_creation_was_killed_is_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dynamodb.sqlite");
        drop(open(Some(&file)).unwrap());
        for suffix in ["", "-wal", "-shm"] {
            fs::write(folder.path().join(format!("dynamodb.sqlite{suffix}")), "half of a database").unwrap();
        }
        drop(open(Some(&file)).unwrap());
        created(&file).unwrap();
        fs::write(&file, "a database that is damaged later").unwrap();
        assert!(open(Some(&file)).is_err(), "it is not removed");
    }
}
