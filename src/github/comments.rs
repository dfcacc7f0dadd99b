//! Comments on a pull request of the control repo.

use serde::Deserialize;
use serde_json::json;

use super::Reporter;
use super::checks::{LONGEST_TEXT, fitted};
use super::error::Error;
use super::transport::Request;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub id: u64,
    /// Login; `<slug>[bot]` for an App, `ghost` for an account that is gone.
    pub author: String,
    pub body: String,
}

#[derive(Deserialize)]
struct CommentAnswer {
    id: u64,
    body: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

impl From<CommentAnswer> for Comment {
    fn from(answer: CommentAnswer) -> Self {
        Self {
            id: answer.id,
            author: answer
                .user
                .map_or_else(|| "ghost".to_owned(), |user| user.login),
            body: answer.body.unwrap_or_default(),
        }
    }
}

impl Reporter {
    /// All comments on a pull request, oldest first.
    pub async fn comments(&self, number: u64) -> Result<Vec<Comment>, Error> {
        let path = format!(
            "/repos/{}/issues/{number}/comments?per_page=100",
            self.repository
        );
        let pages: Vec<Vec<CommentAnswer>> = self.client.pages(path).await?;
        Ok(pages.into_iter().flatten().map(Comment::from).collect())
    }

    /// The oldest comment of this author that holds the marker exactly once: a quotation of another is not it.
    pub async fn find_comment(
        &self,
        number: u64,
        marker: &str,
        author: &str,
    ) -> Result<Option<Comment>, Error> {
        let comments = self.comments(number).await?;
        Ok(comments.into_iter().find(|comment| {
            comment.author.eq_ignore_ascii_case(author) && comment.body.matches(marker).count() == 1
        }))
    }

    pub async fn create_comment(&self, number: u64, body: &str) -> Result<u64, Error> {
        let path = format!("/repos/{}/issues/{number}/comments", self.repository);
        let body = json!({ "body": fitted(body, LONGEST_TEXT) });
        let request = Request::post(path, body).strictly_once();
        let created: CommentAnswer = self.client.send(request).await?.json()?;
        Ok(created.id)
    }

    pub async fn update_comment(&self, id: u64, body: &str) -> Result<(), Error> {
        let path = format!("/repos/{}/issues/comments/{id}", self.repository);
        let body = json!({ "body": fitted(body, LONGEST_TEXT) });
        self.client.send(Request::patch(path, body)).await?;
        Ok(())
    }
}
