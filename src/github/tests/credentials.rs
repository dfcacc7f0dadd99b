//! JWTs, installation tokens, and what must not happen to them.

use std::collections::BTreeMap;

use aws_lc_rs::signature::KeyPair as _;
use futures::future::join_all;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::server::{KEY, Server, ok, pem, private_key, status, token, token_until};
use crate::github::token::Tokens;
use crate::github::{AccountKind, Error, GitHub, InvalidSettings, Purpose};

fn tokens(private_key: &str) -> Result<Tokens, InvalidSettings> {
    Tokens::new("12", &SecretString::from(private_key))
}

#[test]
fn a_jwt_is_signed_for_ten_minutes_by_githubs_clock() {
    let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
    let jwt = tokens(&private_key()).unwrap().jwt(now).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    let key = DecodingKey::from_rsa_der(KEY.public_key().as_ref());
    let claims: BTreeMap<String, Value> =
        jsonwebtoken::decode(jwt.expose_secret(), &key, &validation)
            .unwrap()
            .claims;
    let expected = [
        ("iat".to_owned(), json!(now.as_second() - 60)),
        ("exp".to_owned(), json!(now.as_second() + 540)),
        ("iss".to_owned(), json!("12")),
    ];
    assert_eq!(claims, BTreeMap::from(expected));
}

#[test]
fn a_private_key_is_taken_in_every_form_it_comes_in() {
    let pkcs8 = private_key();
    // What PKCS#8 wraps begins behind 26 bytes of header, for a key of this size.
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&*KEY);
    let pkcs1 = pem("RSA PRIVATE KEY", &der.unwrap().as_ref()[26..]);
    let forms = [
        pkcs8.clone(),
        pkcs1,
        pkcs8.replace('\n', "\r\n"),
        pkcs8.replace('\n', "\\n"),
        format!("\n  {pkcs8}\n\n"),
    ];
    for form in forms {
        assert!(tokens(&form).is_ok(), "{}", &form[..40]);
    }
}

#[test]
fn a_key_that_is_none_is_refused_without_being_quoted() {
    let broken = private_key().replace("-----END", "-----AND");
    for text in ["", "ghs_secret", &broken] {
        let Err(InvalidSettings(reason)) = tokens(text) else {
            panic!("it was taken");
        };
        assert!(reason.contains("BEGIN RSA PRIVATE KEY"), "{reason}");
        assert!(
            !reason.contains("ghs_secret") && reason.len() < 300,
            "{reason}"
        );
    }
}

#[tokio::test]
async fn only_a_loopback_address_may_be_without_tls() {
    let refused = [
        ("http://github.example.com", "loopback"),
        ("http://127.0.0.1.example.com", "loopback"),
        ("ftp://localhost", "scheme"),
        ("github.example.com", "scheme"),
        ("", "URL"),
        ("https://me:secret@github.example.com", "credentials"),
    ];
    for (url, why) in refused {
        let reason = GitHub::with_token(url, "t".into()).err().unwrap().0;
        assert!(reason.contains(why), "{url}: {reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }
    for url in [
        "http://localhost:1",
        "http://[::1]:1",
        "https://github.example.com/api/v3/",
    ] {
        assert!(GitHub::with_token(url, "t".into()).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn each_client_asks_for_its_own_permissions_and_no_more() {
    let server = Server::always(|| ok(json!({ "ssh_keys": [] }))).await;
    server.reader().host_keys().await.unwrap();
    server.reporter().update_comment(1, "text").await.unwrap();
    let change = crate::github::RepositoryChange::default();
    let repository = "acme/x".parse().unwrap();
    server
        .writer()
        .update_repository(&repository, &change)
        .await
        .unwrap();

    let asked: Vec<Value> = server
        .minted()
        .into_iter()
        .map(|request| request.body)
        .collect();
    let read = json!({
        "administration": "read", "checks": "read", "contents": "read",
        "members": "read", "metadata": "read", "organization_administration": "read",
        "pull_requests": "read",
    });
    let report = json!({ "checks": "write", "metadata": "read", "pull_requests": "write" });
    let write = json!({
        "administration": "write", "contents": "write", "members": "read", "metadata": "read",
    });
    let expected = [
        json!({ "permissions": read }),
        json!({ "permissions": report, "repositories": ["control"] }),
        json!({ "permissions": write }),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn no_purpose_but_writing_may_change_a_repository() {
    for purpose in [Purpose::Read, Purpose::Report] {
        let grants = purpose.permissions();
        assert!(
            !grants.contains(&("administration", "write")),
            "{purpose:?}"
        );
        assert!(!grants.contains(&("contents", "write")), "{purpose:?}");
    }
    let reading = Purpose::Read.permissions();
    assert!(reading.iter().all(|(_, level)| *level == "read"));
}

#[tokio::test]
async fn one_token_is_minted_however_many_ask() {
    let server = Server::always(|| ok(json!({ "ssh_keys": [] }))).await;
    let reader = server.reader();
    let readers: Vec<_> = (0..20).map(|_| reader.clone()).collect();
    let answers = join_all(readers.iter().map(crate::github::Reader::host_keys)).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(server.minted().len(), 1);
    assert_eq!(server.asked().len(), 20);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed() {
    let soon = Timestamp::from_second(super::super::transport::now().as_second() + 60).unwrap();
    let server = Server::bare(move |request, before| match request.method.as_str() {
        "POST" => token_until(before, &soon.to_string()),
        _ => ok(json!({ "ssh_keys": [] })),
    })
    .await;
    let reader = server.reader();
    reader.host_keys().await.unwrap();
    reader.host_keys().await.unwrap();
    assert_eq!(server.minted().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_request_sent_again() {
    let server = Server::start(|request, _| match request.token() {
        "ghs_secret0" => status(401, json!({ "message": "Bad credentials" })),
        _ => status(201, json!({ "id": 9 })),
    })
    .await;
    assert_eq!(
        server.reporter().create_comment(3, "text").await.unwrap(),
        9
    );
    let tokens: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.token().to_owned())
        .collect();
    assert_eq!(tokens, ["ghs_secret0", "ghs_secret1"]);
}

#[tokio::test]
async fn credentials_that_stay_refused_are_an_error() {
    let server = Server::always(|| status(401, json!({ "message": "Bad credentials" }))).await;
    let error = server.reader().host_keys().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_permission_that_was_not_granted_is_named() {
    let server = Server::bare(|_, _| {
        let message = "The permissions requested are not granted to this installation.";
        status(
            422,
            json!({ "message": message, "errors": ["`members` is missing"] }),
        )
    })
    .await;
    let error = server.reader().host_keys().await.unwrap_err();
    let Error::Forbidden { needs, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(needs.as_deref(), Some("members=read"));
    assert!(
        error
            .to_string()
            .contains("the App needs the permission `members=read`")
    );
}

#[tokio::test]
async fn an_answer_that_holds_a_token_is_never_quoted() {
    let server = Server::bare(|_, _| status(201, json!({ "token": "ghs_secret" }))).await;
    let error = server.reader().host_keys().await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    assert!(
        !format!("{error} {error:?}").contains("ghs_secret"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_app_finds_itself_and_its_installations() {
    let server = Server::bare(|request, before| match request.path.as_str() {
        "/app" => ok(json!({ "id": 12, "slug": "tenantry" })),
        "/orgs/acme/installation" => ok(json!({
            "id": 7,
            "account": { "login": "acme", "type": "Organization" },
            "permissions": { "members": "read" },
            "suspended_at": null,
        })),
        "/users/octocat/installation" => ok(json!({
            "id": 8,
            "account": { "login": "octocat", "type": "User" },
            "suspended_at": "2026-11-25T00:00:00Z",
        })),
        path if path.ends_with("/access_tokens") => token(before),
        _ => status(404, json!({ "message": "Not Found" })),
    })
    .await;
    let github = server.github();
    assert_eq!(github.app().await.unwrap().bot_login(), "tenantry[bot]");

    let acme = github
        .installation(&"acme".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((acme.id, acme.suspended), (7, false));
    assert_eq!(acme.account.kind, AccountKind::Organization);
    assert_eq!(acme.permissions["members"], "read");

    let person = github
        .installation(&"octocat".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((person.id, person.suspended), (8, true));
    assert_eq!(person.account.kind, AccountKind::User);

    let nobody = github
        .installation(&"nobody".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(nobody, None);
}
