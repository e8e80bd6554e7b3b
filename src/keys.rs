//! The server's own secrets: the key that signs access tokens, and the master keys that encrypt credentials.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::ids::{MediaId, SessionId, UserId, WorkspaceId};

/// Named master keys. The first one encrypts, all of them decrypt, so keys can be rotated.
pub struct MasterKeys(Vec<(String, SecretBox<[u8; 32]>)>);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("expected id:base64key[,id:base64key…] with keys of 32 bytes, for example k1:{}", STANDARD.encode([0; 32]))]
    Malformed,
    #[error(
        "the credentials were sealed under the master key \"{0}\", which MASTER_KEYS does not hold: add it again"
    )]
    UnknownKey(String),
    #[error(
        "the sealed credentials cannot be opened: they were damaged, or belong to another integration"
    )]
    Damaged,
}

impl MasterKeys {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let keys = text
            .split(',')
            .map(|entry| {
                let (id, key) = entry.trim().split_once(':').ok_or(Error::Malformed)?;
                let plain = !id.is_empty()
                    && id.len() <= 32
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                let key: [u8; 32] = STANDARD
                    .decode(key)
                    .ok()
                    .and_then(|key| key.try_into().ok())
                    .ok_or(Error::Malformed)?;
                plain
                    .then(|| (id.to_owned(), SecretBox::new(Box::new(key))))
                    .ok_or(Error::Malformed)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(keys))
    }

    /// Encrypts `secret` with `context` as associated data: a ciphertext copied to another tenant's row does not
    /// decrypt. Nonces are random; in AES-GCM-SIV a repeated one would only show that two secrets are equal. Format:
    /// length of the key's name, name, nonce, ciphertext.
    pub fn seal(&self, secret: &SecretString, context: &[u8]) -> Vec<u8> {
        let (id, key) = self.0.first().expect("parse refuses an empty list");
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        let nonce = cipher(key)
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .expect("a credential is far below the cipher's limit of 64 GiB");
        let name = u8::try_from(id.len()).expect("parse limits names to 32 bytes");
        [&[name], id.as_bytes(), nonce.as_ref(), &sealed].concat()
    }

    /// Whether `sealed` was encrypted with the first key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let (id, _) = self.0.first().expect("parse refuses an empty list");
        sealed.split_first().is_some_and(|(name, rest)| {
            usize::from(*name) == id.len() && rest.starts_with(id.as_bytes())
        })
    }

    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretString, Error> {
        let (name, rest) = sealed.split_first().ok_or(Error::Damaged)?;
        let (id, rest) = rest
            .split_at_checked(usize::from(*name))
            .ok_or(Error::Damaged)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Error::Damaged)?;
        let id = String::from_utf8_lossy(id);
        let (_, key) = self
            .0
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or_else(|| Error::UnknownKey(id.into_owned()))?;
        let mut opened = sealed.to_vec();
        let length = cipher(key)
            .open_in_place(Nonce::from(nonce), Aad::from(context), &mut opened)
            .map_err(|_| Error::Damaged)?
            .len();
        opened.truncate(length);
        String::from_utf8(opened)
            .map(SecretString::from)
            .map_err(|_| Error::Damaged)
    }
}

fn cipher(key: &SecretBox<[u8; 32]>) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM_SIV, key.expose_secret())
        .expect("the key has the cipher's length")
}

pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Time to open the authenticator app and type six digits.
const TICKET_LIFETIME: Duration = Duration::from_secs(10 * 60);

const MEDIA_LINK_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Issues and reads access tokens (JWTs that name a session; whether it is still valid is in the database) and refresh
/// tokens (a session and a generation).
#[derive(Clone)]
pub struct Tokens(Arc<(EncodingKey, DecodingKey, hmac::Key)>);

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    sid: SessionId,
    exp: i64,
}

/// Shares only `exp` with `Claims`, so neither token is accepted as the other.
#[derive(Serialize, Deserialize)]
struct Ticket {
    second_factor_of: UserId,
    exp: i64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MediaLink {
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub media: MediaId,
}

#[derive(Serialize, Deserialize)]
struct MediaClaims {
    link: MediaLink,
    exp: i64,
}

/// The file that a provider may fetch. Shares no claim with the other tokens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OutgoingLink {
    pub workspace: WorkspaceId,
    pub media: MediaId,
}

#[derive(Serialize, Deserialize)]
struct OutgoingClaims {
    outgoing: OutgoingLink,
}

/// Outgoing links have no expiry, so a file's token is always the same: the state of the message decides access.
fn without_expiry() -> Validation {
    let mut validation = validation();
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation
}

/// Expiry is checked by [`is_expired`], against the database's clock.
fn validation() -> Validation {
    Validation {
        validate_exp: false,
        ..Validation::default()
    }
}

fn is_expired(exp: i64) -> bool {
    exp <= clock::now().timestamp()
}

/// What a refresh token's signature covers. JWTs are signed with the same key; the prefix keeps the two apart.
fn signed_refresh(payload: &[u8]) -> Vec<u8> {
    [b"refresh token ", payload].concat()
}

impl Tokens {
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        Self(Arc::new((
            EncodingKey::from_secret(secret).expect("the secret is not empty"),
            DecodingKey::from_secret(secret).expect("the secret is not empty"),
            hmac::Key::new(hmac::HMAC_SHA256, secret),
        )))
    }

    pub fn issue(&self, user: UserId, session: SessionId) -> String {
        let claims = Claims {
            sub: user,
            sid: session,
            exp: clock::now().timestamp() + ACCESS_TOKEN_LIFETIME.as_secs().cast_signed(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.0.0)
            .expect("three plain fields serialize and sign")
    }

    /// The refresh token: session, generation, and an HMAC over both.
    pub fn refresh(&self, session: SessionId, generation: u32) -> String {
        let payload = [session.0.as_bytes().as_slice(), &generation.to_be_bytes()].concat();
        let signature = hmac::sign(&self.0.2, &signed_refresh(&payload));
        URL_SAFE_NO_PAD.encode([payload.as_slice(), signature.as_ref()].concat())
    }

    pub fn read_refresh(&self, token: &str) -> Option<(SessionId, u32)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, signature) = bytes.split_at_checked(20)?;
        hmac::verify(&self.0.2, &signed_refresh(payload), signature).ok()?;
        let (session, generation) = payload.split_at_checked(16)?;
        let session = SessionId(uuid::Uuid::from_slice(session).ok()?);
        Some((session, u32::from_be_bytes(generation.try_into().ok()?)))
    }

    /// A token for a user who has entered the password but not the second factor.
    pub fn ticket(&self, user: UserId) -> String {
        let claims = Ticket {
            second_factor_of: user,
            exp: clock::now().timestamp() + TICKET_LIFETIME.as_secs().cast_signed(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.0.0)
            .expect("two plain fields serialize and sign")
    }

    pub fn read_ticket(&self, ticket: &str) -> Option<UserId> {
        let ticket = jsonwebtoken::decode::<Ticket>(ticket, &self.0.1, &validation()).ok()?;
        (!is_expired(ticket.claims.exp)).then_some(ticket.claims.second_factor_of)
    }

    /// A token that opens one file for five minutes, while session, membership and file still allow it.
    pub fn media_link(&self, link: MediaLink) -> (String, DateTime<Utc>) {
        let expires_at = clock::now() + MEDIA_LINK_LIFETIME;
        let claims = MediaClaims {
            link,
            exp: expires_at.timestamp(),
        };
        let token = jsonwebtoken::encode(&Header::default(), &claims, &self.0.0)
            .expect("plain fields serialize and sign");
        (token, expires_at)
    }

    pub fn read_media_link(&self, token: &str) -> Option<MediaLink> {
        let token = jsonwebtoken::decode::<MediaClaims>(token, &self.0.1, &validation()).ok()?;
        (!is_expired(token.claims.exp)).then_some(token.claims.link)
    }

    /// The same for a file each time: providers detect repeated requests by comparing bytes.
    pub fn outgoing_link(&self, link: OutgoingLink) -> String {
        let claims = OutgoingClaims { outgoing: link };
        jsonwebtoken::encode(&Header::default(), &claims, &self.0.0)
            .expect("two ids serialize and sign")
    }

    pub fn read_outgoing_link(&self, token: &str) -> Option<OutgoingLink> {
        let token =
            jsonwebtoken::decode::<OutgoingClaims>(token, &self.0.1, &without_expiry()).ok()?;
        Some(token.claims.outgoing)
    }

    pub fn read(&self, token: &str) -> Option<SessionId> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.0.1, &validation()).ok()?;
        (!is_expired(token.claims.exp)).then_some(token.claims.sid)
    }
}

/// Reads the secret in `file`; the first start creates it, readable only by its owner.
pub fn read_or_create(file: &Path, make: impl FnOnce() -> String) -> std::io::Result<SecretString> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::read_to_string(file) {
        Ok(secret) if !secret.trim().is_empty() => {
            return Ok(SecretString::from(secret.trim().to_owned()));
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let secret = make();
    // Written to a second file and renamed, so that a crash leaves no partial secret.
    let temporary = file.with_extension("new");
    let mut new = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    new.write_all(secret.as_bytes())?;
    new.sync_all()?;
    std::fs::rename(&temporary, file)?;
    Ok(SecretString::from(secret))
}

/// 256 random bits.
pub fn random() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[(&str, u8)]) -> MasterKeys {
        let text: Vec<_> = names
            .iter()
            .map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; 32])))
            .collect();
        MasterKeys::parse(&text.join(",")).expect("well-formed")
    }

    #[test]
    fn what_was_sealed_opens_only_where_it_belongs() {
        let secret = SecretString::from("{\"auth_token\":\"tøken\"}");
        let sealed = keys(&[("k1", 1)]).seal(&secret, b"workspace/integration");
        let rotated = keys(&[("k2", 2), ("k1", 1)]);
        assert_eq!(
            rotated
                .open(&sealed, b"workspace/integration")
                .expect("opens")
                .expose_secret(),
            secret.expose_secret()
        );
        assert!(keys(&[("k1", 1)]).is_current(&sealed) && !rotated.is_current(&sealed));
        assert!(!keys(&[("k", 1)]).is_current(&sealed) && !keys(&[("k12", 1)]).is_current(&sealed));
        assert!(matches!(
            rotated.open(&sealed, b"another/integration"),
            Err(Error::Damaged)
        ));
        assert!(
            matches!(keys(&[("k2", 2)]).open(&sealed, b"workspace/integration"), Err(Error::UnknownKey(id)) if id == "k1")
        );
        assert!(matches!(
            keys(&[("k1", 3)]).open(&sealed, b"workspace/integration"),
            Err(Error::Damaged)
        ));
        for cut in 0..sealed.len() {
            assert!(
                rotated
                    .open(&sealed[..cut], b"workspace/integration")
                    .is_err()
            );
        }
    }

    #[test]
    fn keys_of_another_shape_are_refused() {
        for wrong in ["", "k1", "k1:", "k1:AAAA", ":AAAA", "k1:not base64!"] {
            assert!(MasterKeys::parse(wrong).is_err(), "{wrong}");
        }
    }
}
