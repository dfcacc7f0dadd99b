//! What a source needs of GitHub: deploy keys, the tip of a branch, files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::wire;

/// GitHub's REST API, read with one token.
pub(super) struct Origin {
    root: String,
    token: String,
    host: String,
}

/// Why something could not be read, as git would say it.
pub(super) type Refused = String;

/// Where a source's URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    /// `owner/name`.
    pub(super) repository: String,
}

impl Address {
    /// Reads `ssh://git@host[:port]/owner/name[.git]`.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("ssh://")?;
        let (authority, path) = rest.split_once('/')?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let host = host.split(':').next().unwrap_or_default();
        let repository = path.trim_end_matches('/');
        let repository = repository.strip_suffix(".git").unwrap_or(repository);
        let is_whole = !host.is_empty()
            && repository
                .split('/')
                .filter(|part| !part.is_empty())
                .count()
                == 2;
        is_whole.then(|| Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
        })
    }
}

impl Origin {
    pub(super) fn new(root: &str, token: &str, host: &str) -> Self {
        Self {
            root: root.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            host: host.to_owned(),
        }
    }

    /// Whether this is the host that we can fetch from.
    pub(super) fn is_at(&self, host: &str) -> bool {
        self.host == host
    }

    async fn get(&self, path: &str, accept: &str) -> Result<Option<Vec<u8>>, Refused> {
        let headers = [
            ("authorization", format!("Bearer {}", self.token)),
            ("user-agent", "source-controller".to_owned()),
            ("accept", accept.to_owned()),
        ];
        let url = format!("{}{path}", self.root);
        let response = wire::send("GET", &url, &headers, &[]).await;
        let response = response.map_err(|error| format!("dial tcp: {error}"))?;
        match response.status {
            200 => Ok(Some(response.body)),
            404 | 409 => Ok(None),
            status => {
                let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let message = body["message"].as_str().unwrap_or_default();
                Err(format!("the remote answered {status}: {message}"))
            }
        }
    }

    async fn json(&self, path: &str) -> Result<Option<Value>, Refused> {
        let body = self.get(path, "application/vnd.github+json").await?;
        body.map(|body| serde_json::from_slice(&body).map_err(|error| error.to_string()))
            .transpose()
    }

    /// Whether a public key opens a repository: none where it opens another one, or nothing.
    pub(super) async fn opens(&self, repository: &str, key: &str) -> Result<bool, Refused> {
        let path = format!("/repos/{repository}/keys?per_page=100");
        let keys = self.json(&path).await?.unwrap_or_default();
        let keys = keys.as_array().into_iter().flatten();
        let material = |text: &str| {
            text.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        Ok(keys
            .filter_map(|known| known["key"].as_str())
            .any(|known| material(known) == material(key)))
    }

    /// The commit at the tip of a branch.
    pub(super) async fn tip(
        &self,
        repository: &str,
        branch: &str,
    ) -> Result<Option<String>, Refused> {
        let path = format!("/repos/{repository}/branches/{branch}");
        let found = self.json(&path).await?;
        Ok(found.and_then(|found| found["commit"]["sha"].as_str().map(str::to_owned)))
    }

    /// The YAML files of a commit below a directory, by their paths within it; nothing where there is no such directory.
    pub(super) async fn files(
        &self,
        repository: &str,
        commit: &str,
        directory: &str,
    ) -> Result<Option<BTreeMap<String, String>>, Refused> {
        let path = format!("/repos/{repository}/git/trees/{commit}?recursive=1");
        let Some(tree) = self.json(&path).await? else {
            return Err(format!("the artifact of {commit} is gone"));
        };
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let (mut files, mut is_there) = (BTreeMap::new(), directory.is_empty());
        for entry in tree["tree"].as_array().into_iter().flatten() {
            let path = entry["path"].as_str().unwrap_or_default();
            let Some(inside) = path.strip_prefix(&prefix) else {
                continue;
            };
            is_there = true;
            let end = inside.rsplit_once('.').map(|(_, end)| end);
            let is_yaml = matches!(end, Some("yaml" | "yml"));
            if entry["type"] == "blob" && is_yaml {
                let blob = entry["sha"].as_str().unwrap_or_default();
                files.insert(inside.to_owned(), self.blob(repository, blob).await?);
            }
        }
        Ok(is_there.then_some(files))
    }

    async fn blob(&self, repository: &str, blob: &str) -> Result<String, Refused> {
        let path = format!("/repos/{repository}/git/blobs/{blob}");
        let body = self.get(&path, "application/vnd.github.raw+json").await?;
        let body = body.ok_or_else(|| format!("the blob {blob} is gone"))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
