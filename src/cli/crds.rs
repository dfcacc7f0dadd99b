//! `tenantry crds`: the one kind that the cluster has to know.

use std::io::{self, Write};

/// `deploy/crd.yaml`, the same that `kubectl apply -k deploy/` installs.
const TENANT: &str = include_str!("../../deploy/crd.yaml");

/// Prints YAML for `kubectl apply -f -`.
pub fn run(output: &mut impl Write) -> io::Result<()> {
    output.write_all(TENANT.as_bytes())
}
