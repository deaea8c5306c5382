//! Names to addresses, at the moment of connecting: the client connects to what this gives and to nothing else, so there is no
//! second look-up whose answer could differ from the one that was checked.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Reach;

/// The name leads to an address that webhooks may not go to.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the name leads to an address that is not public")]
pub struct NotPublic;

/// Looking a name up.
pub type LookUp = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Looks names up: the system's resolver, or a test's own.
pub type Resolver = Arc<dyn Fn(String) -> LookUp + Send + Sync>;

/// The system's resolver.
pub fn system() -> Resolver {
    Arc::new(|name| {
        // The port is the address's own; this one is never used.
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

/// A resolver that gives an address only if all that a name leads to may be reached: one that leads to both sides is set up to
/// be confused.
#[derive(Clone)]
pub struct Guarded {
    reach: Reach,
    resolver: Resolver,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl Guarded {
    /// Over this resolver.
    pub fn new(reach: Reach, resolver: Resolver) -> Self {
        Self { reach, resolver }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, look_up) = (self.reach, (self.resolver)(name.as_str().to_owned()));
        Box::pin(async move {
            let found = look_up.await?;
            if found.iter().any(|address| !reach.permits(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
