//! What one may try: each is a button that proposes a change or does a deed, and leads to where its effect shows.

use std::time::Duration;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::github::{DeployKey, Team, encoded};
use super::place::{Place, Told};
use super::trouble::Trouble;
use super::{Shared, Site, control, tenants_file};
use crate::sandbox::github::Fault;

/// How long GitHub is out of order.
const OUTAGE: Duration = Duration::from_secs(10);

const MANY: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    BreakTeam,
    RemoveTenant,
    AddThirty,
    TakeKey,
    LoseWebhook,
    Outage,
}

impl Try {
    const ALL: [Self; 6] = [
        Self::BreakTeam,
        Self::RemoveTenant,
        Self::AddThirty,
        Self::TakeKey,
        Self::LoseWebhook,
        Self::Outage,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::BreakTeam => "break-team",
            Self::RemoveTenant => "remove-tenant",
            Self::AddThirty => "add-thirty",
            Self::TakeKey => "take-key",
            Self::LoseWebhook => "lose-webhook",
            Self::Outage => "outage",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::BreakTeam => "Misspell a team",
            Self::RemoveTenant => "Remove a tenant",
            Self::AddThirty => "Add thirty tenants",
            Self::TakeKey => "Take a deploy key away",
            Self::LoseWebhook => "Lose the next webhook",
            Self::Outage => "Break GitHub for ten seconds",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::BreakTeam | Self::RemoveTenant => "Propose it",
            Self::AddThirty => "Propose them",
            Self::TakeKey => "Take it",
            Self::LoseWebhook => "Lose it",
            Self::Outage => "Break it",
        }
    }

    fn promise(self) -> &'static str {
        match self {
            Self::BreakTeam => {
                "Proposes a team that does not exist. The check fails at its line, with the name that was meant."
            }
            Self::RemoveTenant => {
                "Proposes a file without it. The plan says what would go, and what is kept for how long."
            }
            Self::AddThirty => {
                "Proposes thirty at once. The plan stays readable, and each stands on its own."
            }
            Self::TakeKey => {
                "By hand, on GitHub, as an accident would. The next comparison puts it right and says so."
            }
            Self::LoseWebhook => {
                "Proposes a change that the App is not told of. Send the delivery again, and it is as if nothing had been."
            }
            Self::Outage => {
                "Proposes a change, and then every answer is 502. The plan comes all the same."
            }
        }
    }
}

/// What a try is about, where there is a choice.
#[derive(Default, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    of: String,
}

/// All tries as forms.
pub(super) fn buttons(tenants: &[String], workspaces: &[String]) -> Markup {
    html! {
        ul class="rows tries" {
            @for one in Try::ALL {
                li {
                    h3 { (one.label()) }
                    p class="quiet" id={ "try-" (one.word()) } { (one.promise()) }
                    form method="post" action={ "/try/" (one.word()) } {
                        (choice(one, tenants, workspaces))
                        button class="small" aria-describedby={ "try-" (one.word()) } {
                            (one.verb()) span class="unseen" { ": " (one.label()) }
                        }
                    }
                }
            }
        }
    }
}

fn choice(of: Try, tenants: &[String], workspaces: &[String]) -> Markup {
    let (label, all, chosen) = match of {
        Try::RemoveTenant => ("Tenant to remove", tenants, tenants.last()),
        Try::TakeKey => ("Repository whose key goes", workspaces, workspaces.first()),
        Try::BreakTeam | Try::AddThirty | Try::LoseWebhook | Try::Outage => return html! {},
    };
    html! {
        select name="of" aria-label=(label) {
            @for one in all { option value=(one) selected[Some(one) == chosen] { (one) } }
        }
    }
}

pub(super) async fn go(
    State(site): State<Shared>,
    Path(word): Path<String>,
    Form(choice): Form<Choice>,
) -> Response {
    let wanted = Try::ALL.into_iter().find(|one| one.word() == word);
    let Some(wanted) = wanted else {
        return Trouble::missing("There is nothing of this name to try.").into_response();
    };
    let done = site.attempt(wanted, &choice.of).await;
    site.after(done, &Place::Control, |address| address).await
}

impl Site {
    /// Does it, and gives the address where its effect shows.
    async fn attempt(&self, wanted: Try, of: &str) -> Result<String, Trouble> {
        match wanted {
            Try::BreakTeam => self.break_team().await,
            Try::RemoveTenant => self.remove_tenant(of).await,
            Try::AddThirty => self.add_thirty().await,
            Try::TakeKey => self.take_key(of).await,
            Try::LoseWebhook => self.lose_webhook().await,
            Try::Outage => self.outage().await,
        }
    }

    async fn file(&self) -> Result<String, Trouble> {
        control::file(self, &self.github.look(), None).await
    }

    /// The first team, for entries that need one.
    async fn some_team(&self) -> Result<String, Trouble> {
        let look = self.github.look();
        let path = format!("/orgs/{}/teams", encoded(&self.organization));
        let teams: Vec<Team> = look.all(&path).await?;
        let first = teams.into_iter().next();
        first
            .map(|team| team.slug)
            .ok_or_else(|| Trouble::Impossible("The organisation has no team.".to_owned()))
    }

    async fn break_team(&self) -> Result<String, Trouble> {
        let text = self.file().await?;
        let (text, slip) = tenants_file::with_a_slip(&text).ok_or_else(|| {
            Trouble::Impossible("No entry of the file names a team: add one first.".to_owned())
        })?;
        let title = format!("Give access to {slip}");
        let number = self.propose(&title, text).await?;
        Ok(Place::Pull(number).telling(Told::BrokenTeam))
    }

    async fn remove_tenant(&self, name: &str) -> Result<String, Trouble> {
        let text = self.file().await?;
        let text = tenants_file::without(&text, name).ok_or_else(|| {
            Trouble::Impossible(format!(
                "The file has no entry `{name}` of its own lines any more."
            ))
        })?;
        let number = self.propose(&format!("Remove {name}"), text).await?;
        Ok(Place::Pull(number).telling(Told::RemovedTenant))
    }

    async fn add_thirty(&self) -> Result<String, Trouble> {
        let text = self.file().await?;
        let taken = tenants_file::names(&text);
        let names = (1..).map(|number| format!("team-{number:02}"));
        let names: Vec<String> = names
            .filter(|name| !taken.contains(name))
            .take(MANY)
            .collect();
        let number = self.add("Add thirty tenants", &text, &names).await?;
        Ok(Place::Pull(number).telling(Told::AddedThirty))
    }

    /// Proposes one more tenant.
    async fn add_one(&self, wish: &str) -> Result<u64, Trouble> {
        let text = self.file().await?;
        let name = tenants_file::free_name(&text, wish);
        self.add(&format!("Add {name}"), &text, &[name]).await
    }

    async fn add(&self, title: &str, text: &str, names: &[String]) -> Result<u64, Trouble> {
        let team = self.some_team().await?;
        let text = tenants_file::with(text, names, &team).ok_or_else(|| {
            Trouble::Impossible(
                "The file has no list whose entries begin on lines of their own: edit it by hand."
                    .to_owned(),
            )
        })?;
        self.propose(title, text).await
    }

    async fn take_key(&self, repository: &str) -> Result<String, Trouble> {
        let look = self.github.look();
        let path = format!("/repos/{}/{}/keys", self.organization, encoded(repository));
        let keys: Vec<DeployKey> = look.all(&path).await?;
        let Some(key) = keys.first() else {
            return Err(Trouble::Impossible(format!(
                "`{repository}` has no deploy key that could be taken."
            )));
        };
        let path = format!("{path}/{}", key.id);
        self.github
            .change(Method::DELETE, &path, &json!({}))
            .await?;
        let place = Place::Organization.telling(Told::TakenKey);
        Ok(format!("{place}#repository-{repository}"))
    }

    async fn lose_webhook(&self) -> Result<String, Trouble> {
        // A branch is made, pushed to, and asked to be pulled: any of these would bring a check.
        for event in ["push", "push", "check_suite", "pull_request"] {
            self.tricks.github.lose_next_webhook(event);
        }
        let number = self.add_one("night-shift").await?;
        Ok(Place::Pull(number).telling(Told::LostWebhook))
    }

    async fn outage(&self) -> Result<String, Trouble> {
        // Held for a moment: else the plan would be there before the outage.
        self.tricks.github.hold_webhooks();
        let proposed = self.add_one("weather").await;
        if let Ok(number) = proposed {
            let look = self.github.look();
            // For the page to have something to show.
            let seen = self.page(&Place::Pull(number), &look).await;
            tracing::debug!(known = seen.is_ok(), "the page is known before the outage");
            self.tricks
                .github
                .fault(Fault::on("*", "/**").respond(502).lasting(OUTAGE));
        }
        self.tricks.github.release_all();
        Ok(Place::Pull(proposed?).telling(Told::Outage))
    }
}
