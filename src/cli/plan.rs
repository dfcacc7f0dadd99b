//! `tenantry plan`: a file against what is live, all tenants of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::Output;
use crate::compare::{self, File, Scope, Wanted};
use crate::config::GitHubArgs;
use crate::kubernetes;
use crate::names::FullName;
use crate::observe::{self, Eyes};
use crate::plan::{self, Plan};
use crate::render::{comment, json, tree};
use crate::surroundings::Surroundings;
use crate::tenants::diagnostic::Source;
use crate::tenants::{self, Context, Parsed};

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The file
    #[arg(default_value = "tenants.yaml")]
    file: PathBuf,
    /// The control repo that the file is of, as owner/repo
    #[arg(long)]
    repository: FullName,
    #[arg(long, value_enum, default_value = "tree")]
    output: Output,
    /// Exit with 0 if nothing would change, 1 on an error, 2 if something would
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    github: GitHubArgs,
}

/// The exit status, and what to print.
pub async fn run(args: &PlanArgs, color: bool) -> anyhow::Result<(u8, String)> {
    let path = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("read {path}"))?;
    let context = Context {
        control_repository: args.repository.clone(),
        organizations: args.github.organizations(),
    };
    let parsed = tenants::parse(&text, &context);
    if !parsed.findings.is_empty() {
        let source = Source::new(&path, &text);
        let shown: Vec<_> = parsed
            .findings
            .iter()
            .map(|finding| source.render(finding, color))
            .collect();
        bail!("{path} cannot be planned\n\n{}", shown.join("\n"));
    }
    let plan = plan(args, &parsed).await?;
    let status = status(args, &plan);
    Ok((status, shown(&plan, args.output, color)))
}

async fn plan(args: &PlanArgs, parsed: &Parsed) -> anyhow::Result<Plan> {
    let organization = &parsed.sound.organization;
    let reader = super::github_reader(&args.github.access, organization).await?;
    let (cluster, _) = kubernetes::connect().await?;
    let surroundings = Arc::new(Surroundings {
        organization: organization.clone(),
        control_repository: args.repository.clone(),
        cluster: args.github.access.cluster.clone(),
        git_host: args.github.access.git_host(),
        host_keys: None,
    });
    let eyes = Eyes {
        github: &reader,
        cluster: &cluster,
        surroundings: &surroundings,
        now: crate::cli::now(),
    };
    let memories = observe::memories(&cluster, &surroundings, &parsed.sound).await?;
    let wanted = Wanted {
        tenants: &parsed.sound,
        file: File::Sound,
        commit: "local",
        also: &BTreeSet::new(),
    };
    let draft = compare::tenants(eyes, wanted, memories, Scope::Everything).await?;
    Ok(plan::foresee(draft.plan))
}

fn shown(plan: &Plan, output: Output, color: bool) -> String {
    let color = if color {
        tree::Color::Always
    } else {
        tree::Color::Never
    };
    match output {
        Output::Tree => tree::of_plan(plan, color),
        Output::Markdown => comment::plan_markdown(plan),
        Output::Json => format!("{:#}\n", json::of_plan(plan)),
    }
}

fn status(args: &PlanArgs, plan: &Plan) -> u8 {
    if plan.problems().next().is_some() || plan.locked_out().next().is_some() {
        1
    } else if args.detailed_exitcode && !plan.is_empty() {
        2
    } else {
        0
    }
}
