//! Heads of branches.

use serde::Deserialize;
use serde_json::json;

use super::Reader;
use super::error::Error;
use super::graphql::Query;
use crate::names::FullName;

/// The head of a branch, and one of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    pub commit: String,
    /// None if the commit has no such file.
    pub file: Option<String>,
}

#[derive(Deserialize)]
struct Data<T> {
    repository: RefIn<T>,
}

#[derive(Deserialize)]
struct Ref<T> {
    target: Option<T>,
}

#[derive(Deserialize)]
struct RefIn<T> {
    r#ref: Option<Ref<T>>,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

/// A commit, with one of its files.
#[derive(Deserialize)]
struct Furnished {
    oid: String,
    file: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    object: Option<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    byte_size: usize,
    is_truncated: bool,
    text: Option<String>,
}

impl Blob {
    /// The text if it is all of the file: of a large one GitHub gives the beginning, of one that is not UTF-8 something else.
    fn whole(self) -> Option<String> {
        let (size, is_truncated) = (self.byte_size, self.is_truncated);
        self.text.filter(|text| !is_truncated && text.len() == size)
    }
}

impl Reader {
    /// The commit a branch points to; none if there is no such branch, an error if the repository is not to be seen.
    pub async fn branch_tip(
        &self,
        repository: &FullName,
        branch: &str,
    ) -> Result<Option<String>, Error> {
        let text = include_str!("queries/branch_tip.graphql");
        let variables = json!({
            "owner": repository.owner,
            "name": repository.name,
            "ref": format!("refs/heads/{branch}"),
        });
        let query = Query::new("BranchTip", text, variables);
        let data: Data<Oid> = self.client.query(&query).await?.complete()?;
        let target = data.repository.r#ref.and_then(|branch| branch.target);
        Ok(target.map(|commit| commit.oid))
    }

    /// The same with a file as that commit has it.
    pub async fn tip_with_file(
        &self,
        repository: &FullName,
        branch: &str,
        path: &str,
    ) -> Result<Option<Tip>, Error> {
        let text = include_str!("queries/tip_with_file.graphql");
        let variables = json!({
            "owner": repository.owner,
            "name": repository.name,
            "ref": format!("refs/heads/{branch}"),
            "path": path,
        });
        let query = Query::new("TipWithFile", text, variables);
        let data: Data<Furnished> = self.client.query(&query).await?.complete()?;
        let Some(commit) = data.repository.r#ref.and_then(|branch| branch.target) else {
            return Ok(None);
        };
        let file = match commit.file {
            None => None,
            Some(Entry { object }) => match object.and_then(Blob::whole) {
                Some(text) => Some(text),
                None => self.file(repository, path, &commit.oid).await?,
            },
        };
        Ok(Some(Tip {
            commit: commit.oid,
            file,
        }))
    }
}
