//! `tenantry schema`: the JSON Schema of `tenants.yaml`, for editors.

use std::io::{self, Write};

use crate::tenants;

pub fn run(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:#}", tenants::schema())
}
