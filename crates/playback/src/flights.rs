//! Lets only one of several concurrent requests do the same work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// The work in progress in this process, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

impl Flights {
    /// Waits until no other request does the work with this name. It is this request's until the guard is dropped. Returns
    /// also whether another request did it meanwhile.
    pub(crate) async fn join(&self, name: String) -> (OwnedMutexGuard<()>, bool) {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| flight.strong_count() > 0);
            let flight = flights.get(&name).and_then(Weak::upgrade).unwrap_or_default();
            flights.insert(name, Arc::downgrade(&flight));
            flight
        };
        match flight.clone().try_lock_owned() {
            Ok(guard) => (guard, false),
            Err(_) => (flight.lock_owned().await, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn one_request_at_a_time_does_the_same_work() {
        let (flights, working, most) = (Flights::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let request = async |name: &str| {
            let (_flight, waited) = flights.join(name.to_owned()).await;
            most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            working.fetch_sub(1, Ordering::SeqCst);
            waited
        };
        let waited = join_all((0..10).map(|_| request("a"))).await;
        assert_eq!(waited.into_iter().filter(|waited| *waited).count(), 9);
        assert_eq!(most.load(Ordering::SeqCst), 1);
        join_all(["a", "b"].map(request)).await;
        assert_eq!(most.load(Ordering::SeqCst), 2);
        drop(flights.join("c".to_owned()).await.0);
        assert_eq!(flights.0.lock().unwrap().len(), 1, "finished work is forgotten");
    }
}
