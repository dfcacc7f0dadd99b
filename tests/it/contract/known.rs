//! Where GitHub's descriptions are wrong about GitHub.

/// Each is met by some story, or it goes.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        at: ANYWHERE,
        fault: "[bot]@users.noreply.github.com\" is not a \"email\"",
        why: "an App's bot has an address with brackets, which no grammar of addresses allows without quotes",
    },
    Known {
        at: ANYWHERE,
        fault: "body/status: GitHub knows no such field",
        why: "every error names its status; the description of those of validation is older than that",
    },
    Known {
        at: "POST /repos/{owner}/{repo}/check-runs",
        fault: "status 422: ",
        why: "what makes no check run is refused as everywhere else; its description names no refusal at all",
    },
    Known {
        at: "webhook check_suite completed",
        fault: "/check_suite/app/permissions/merge_queues: ",
        why: "an App's permissions are listed as they were when this was described; `requested` has this one",
    },
    Known {
        at: "webhook check_suite rerequested",
        fault: "\"merge_group\" is not one of",
        why: "an App's events are listed as they were when this was described; what `merge_group` is, was called otherwise",
    },
    Known {
        at: "GET /app/installations",
        fault: "/account: ",
        why: "an account is to be a person and an enterprise at once; GET /app/installations/{installation_id} has either",
    },
    Known {
        at: "GET /app/installations",
        fault: "/account/user_view_type: ",
        why: "its description of a person is an old one; GET /app/installations/{installation_id} has the new one",
    },
    Known {
        at: "GET /app/installations",
        fault: "/client_id: ",
        why: "its description of an installation is an old one; GET /app/installations/{installation_id} has the new one",
    },
];

/// Of a deviation that is not one endpoint's alone.
const ANYWHERE: &str = "anywhere";

pub(crate) struct Known {
    /// The endpoint, or the webhook.
    at: &'static str,
    /// What the fault holds.
    fault: &'static str,
    /// How it really is.
    why: &'static str,
}

impl Known {
    pub(crate) fn explains(&self, at: &str, fault: &str) -> bool {
        [at, ANYWHERE].contains(&self.at) && fault.contains(self.fault)
    }

    /// As it is named where it is out of use.
    pub(crate) fn entry(&self) -> String {
        format!("KNOWN {}: {} ({})", self.at, self.fault, self.why)
    }
}
