//! Requests with somebody's credentials: renewed when they end, page after page.

use std::sync::Arc;

use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::pacer::{Account, Urgency};
use super::token::{Scope, Tokens};
use super::transport::{Answer, Request, Sender, Transport, now};

/// Cheap to clone: the connections and the tokens are shared.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) transport: Arc<Transport>,
    pub(super) credentials: Credentials,
    pub(super) urgency: Urgency,
}

#[derive(Clone)]
pub(super) enum Credentials {
    /// The App itself: only `/app` and the lookup of installations take its JWT.
    App(Arc<Tokens>),
    Installation(Arc<Tokens>, Arc<Scope>),
    /// A token that somebody else made.
    Fixed(Arc<SecretString>),
}

impl Client {
    /// Sends a request; a token that GitHub refuses is replaced once.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Error> {
        let sender = self.sender().await?;
        let answer = self.transport.send(&request, &sender).await;
        let Credentials::Installation(tokens, scope) = &self.credentials else {
            return answer;
        };
        if !matches!(answer, Err(Error::Unauthorized { .. })) {
            return answer;
        }
        tokens.forget(scope, &sender.token).await;
        let sender = self.sender().await?;
        self.transport.send(&request, &sender).await
    }

    async fn sender(&self) -> Result<Sender, Error> {
        Ok(Sender {
            account: self.account(),
            urgency: self.urgency,
            token: self.token().await?,
        })
    }

    pub(super) fn account(&self) -> Account {
        match &self.credentials {
            Credentials::App(_) => Account::App,
            Credentials::Installation(_, scope) => Account::Installation(scope.installation),
            Credentials::Fixed(_) => Account::Owner,
        }
    }

    async fn token(&self) -> Result<SecretString, Error> {
        match &self.credentials {
            Credentials::App(tokens) => Ok(tokens.jwt(now()).expect("the key has signed before")),
            Credentials::Installation(tokens, scope) => tokens.token(scope, &self.transport).await,
            Credentials::Fixed(token) => Ok(SecretString::clone(token)),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        self.send(Request::get(path)).await?.json()
    }

    /// None when GitHub answers 404, which may also mean: not visible.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: String) -> Result<Option<T>, Error> {
        found(self.get(path).await)
    }

    /// All pages, each as GitHub sends it: a list, or an object with one in it.
    pub(super) async fn pages<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>, Error> {
        let mut pages = Vec::new();
        let mut next = Some(path);
        while let Some(path) = next {
            let answer = self.send(Request::get(path)).await?;
            pages.push(answer.json()?);
            next = self.transport.next_page(&answer)?;
        }
        Ok(pages)
    }
}

pub(super) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
