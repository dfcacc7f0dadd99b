//! How Flux on the cluster stands: two requests, however many tenants there are.

use crate::flux::lockdown::{NAMESPACE, SELECTOR, Sight, Standing};
use crate::kubernetes::{Error, Reader};
use crate::tenants::Lockdown;

/// Looks at Flux. A refusal is something seen: Flux is then not known to be locked down.
pub async fn lockdown(cluster: &Reader, wanted: Lockdown) -> Result<Standing, Error> {
    Ok(Standing::of(&sight(cluster).await?, wanted))
}

async fn sight(cluster: &Reader) -> Result<Sight, Error> {
    let (deployments, served) =
        tokio::join!(cluster.deployments(NAMESPACE, SELECTOR), cluster.served());
    Ok(Sight {
        deployments: seen(deployments)?,
        served: seen(served)?,
    })
}

fn seen<T>(answer: Result<T, Error>) -> Result<Result<T, String>, Error> {
    match answer {
        Ok(found) => Ok(Ok(found)),
        Err(error @ Error::Unavailable { .. }) => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}
