//! The dead-letter queue.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Queue;
use crate::files::{load, path};

/// An event that failed on every attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The identifier of the message.
    pub id: String,
    /// The key of the S3 object that the event is about.
    pub key: String,
    /// The error of the last attempt.
    pub error: String,
    /// The number of attempts.
    pub attempts: usize,
    /// The event, as the function received it.
    pub event: Value,
}

impl Queue {
    /// Returns the dead letters, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn dead_letters(&self) -> io::Result<Vec<DeadLetter>> {
        load(&self.dead)
    }

    /// Deletes a dead letter. Succeeds if there is none.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn delete_dead_letter(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(path(&self.dead, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends the events of all dead letters again, and returns their number.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn replay(&self) -> io::Result<usize> {
        let letters = self.dead_letters()?;
        let count = letters.len();
        for letter in letters {
            self.send(letter.id.clone(), letter.key, letter.event)?;
            fs::remove_file(path(&self.dead, &letter.id))?;
        }
        Ok(count)
    }
}
