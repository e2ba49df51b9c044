//! Who asks: authentication, networks, rate and quota, before any route sees the request.
//!
//! Why a layer and not each route: a route that forgot would be open. [`Caller`] as an argument of a route is taken from
//! what the layer found, and a route outside the layer that asks for one answers nothing. A wrong credential is answered
//! after a fixed time, and always with the same words; only so many wait at once, so that waiting costs the node nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_keys::Timestamp;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::address;
use super::allowance::{Charge, StreamPlace};
use super::audit::AuditLog;
use super::credentials::{Credential, Credentials};
use super::members::Members;
use super::problem::Problem;
use super::record::Slot;
use super::token::{CredentialId, SecretHash, Token};
use crate::subset::MemberId;

/// How long a wrong credential waits for its answer.
pub(crate) const DELAY: Duration = Duration::from_secs(1);
/// Wrong credentials that wait at once; more are answered at once, as a secret of 256 bits is not guessed by speed.
pub(crate) const DELAYED: usize = 64;
/// Bytes of an `Authorization` header that are looked at.
const AUTHORIZATION_LEN_MAX: usize = 512;

/// What decides who may ask; clones share it.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) credentials: Credentials,
    pub(crate) members: Members,
    pub(crate) audit: AuditLog,
    pub(crate) proxies: Arc<[IpNet]>,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) delay: Duration,
    pub(crate) delayed: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(
        credentials: Credentials,
        members: Members,
        audit: AuditLog,
        proxies: &[IpNet],
    ) -> Self {
        Self {
            credentials,
            members,
            audit,
            proxies: proxies.into(),
            clock: crate::clock::now,
            delay: DELAY,
            delayed: Arc::new(Semaphore::new(DELAYED)),
        }
    }
}

/// A member's program that may ask; an argument of routes.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Whose it is.
    pub(crate) member: MemberId,
    /// By which credential.
    pub(crate) credential: CredentialId,
    admission: Admission,
    held: Arc<Credential>,
}

impl Caller {
    /// Whether it still may: its credential was not revoked and has not ended, and the member was not removed. To be asked
    /// for each part of a long answer.
    pub(crate) fn stands(&self) -> bool {
        let now = (self.admission.clock)();
        let is_held = self
            .admission
            .credentials
            .find(self.credential)
            .is_some_and(|credential| now < credential.expires);
        is_held && self.admission.members.contains(&self.member)
    }

    /// Checks that it may look fingerprints up.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_look_up(&self) -> Result<(), Problem> {
        let detail = "this credential may not look fingerprints up: the centre issues others with `--lookup`";
        self.held
            .lookup
            .then_some(())
            .ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "no-lookup", detail))
    }

    /// The name under which other centres learn of the member.
    pub(crate) fn pseudonym(&self) -> hashpact_protocol::evidence::Member {
        self.admission.credentials.pseudonym(&self.member)
    }

    /// Takes more units of the day, as one for each fingerprint that is looked up.
    ///
    /// # Errors
    /// 429 once the day's are used up.
    pub(crate) async fn charge(&self, units: u64) -> Result<(), Problem> {
        charge(&self.admission, &self.held, units).await
    }

    /// A place for a long answer; held as long as it is sent.
    ///
    /// # Errors
    /// 429 if this credential has enough of them.
    pub(crate) fn stream(&self) -> Result<StreamPlace, Problem> {
        let detail = "this credential reads as many streams at once as it may";
        let place = self.held.allowance.stream();
        place.ok_or_else(|| Problem::wait("streams", 5, detail))
    }

    /// A place for a window; held as long as it is read.
    ///
    /// # Errors
    /// 429 if this credential has enough of them.
    pub(crate) fn window(&self) -> Result<StreamPlace, Problem> {
        let detail = "this credential reads as many windows at once as it may";
        let place = self.held.allowance.window();
        place.ok_or_else(|| Problem::wait("windows", 1, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Problem::failed)
    }
}

/// The layer: admits, or answers.
pub(crate) async fn admit(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    match caller(&admission, peer, request.headers()).await {
        Ok(caller) => {
            if let Some(slot) = request.extensions().get::<Slot>() {
                slot.set(caller.member.clone(), caller.credential);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(
    admission: &Admission,
    peer: Option<IpAddr>,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    if !admission.audit.is_writable((admission.clock)()) {
        return Err(Problem::stopping());
    }
    if !headers.contains_key(AUTHORIZATION) {
        return Err(Problem::unknown_caller());
    }
    let Some(held) = find(admission, headers) else {
        if let Ok(_waits) = admission.delayed.try_acquire() {
            sleep(admission.delay).await;
        }
        return Err(Problem::unknown_caller());
    };
    // From here on the secret is right: its holder may be told what is wrong.
    if (admission.clock)() >= held.expires {
        let detail = "this credential has ended: ask the centre for the next";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "expired", detail));
    }
    let from = peer.and_then(|peer| address::client(peer, headers, &admission.proxies));
    let is_near = |from: IpAddr| held.networks.iter().any(|net| net.contains(&from));
    if !held.networks.is_empty() && !from.is_some_and(is_near) {
        let detail = "this credential is bound to other networks";
        return Err(Problem::new(StatusCode::FORBIDDEN, "network", detail));
    }
    held.allowance.pace().map_err(|wait| {
        let detail = format!("more than {} requests a second", held.rate);
        Problem::wait("rate", wait, detail)
    })?;
    charge(admission, &held, 1).await?;
    Ok(Caller {
        member: held.member.clone(),
        credential: held.id,
        admission: admission.clone(),
        held,
    })
}

/// The credential that the headers show, if its secret is right and its member is one. Takes as long for one that is not
/// there.
fn find(admission: &Admission, headers: &HeaderMap) -> Option<Arc<Credential>> {
    let shown = Shown::of(headers)?;
    let token = Token::read(&shown.token);
    let held = token
        .as_ref()
        .and_then(|token| admission.credentials.find(token.id()));
    let kept = held.as_ref().map_or(SecretHash::NONE, |held| held.hash);
    let is_right = token.is_some_and(|token| token.hash().equals(&kept));
    let held = held.filter(|_| is_right)?;
    let is_named = shown
        .user
        .is_none_or(|user| user.as_str() == held.member.as_str());
    (is_named && admission.members.contains(&held.member)).then_some(held)
}

async fn charge(admission: &Admission, held: &Arc<Credential>, units: u64) -> Result<(), Problem> {
    match held.charge(units, (admission.clock)()) {
        Charge::Granted => Ok(()),
        Charge::Spent { wait } => {
            let detail = format!("the day's {} requests and look-ups are used up", held.quota);
            Err(Problem::wait("quota", wait, detail))
        }
        Charge::Write(today) => {
            let (credentials, id) = (admission.credentials.clone(), held.id);
            let written = spawn_blocking(move || credentials.write_used(id, today)).await;
            match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a quota was not written down");
                    Err(Problem::failed())
                }
                Err(_) => Err(Problem::failed()),
            }
        }
    }
}

/// What an `Authorization` header shows.
struct Shown {
    user: Option<Zeroizing<String>>,
    token: Zeroizing<String>,
}

impl Shown {
    /// Of exactly one header, Basic (RFC 7617) or Bearer (RFC 6750).
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else {
            return None;
        };
        let text = value.to_str().ok()?;
        if text.len() > AUTHORIZATION_LEN_MAX {
            return None;
        }
        let (scheme, rest) = text.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let token = Zeroizing::new(rest.to_owned());
            return Some(Self { user: None, token });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = Zeroizing::new(STANDARD.decode(rest).ok()?);
        let text = std::str::from_utf8(&bytes).ok()?;
        let (user, token) = text.split_once(':')?;
        Some(Self {
            user: Some(Zeroizing::new(user.to_owned())),
            token: Zeroizing::new(token.to_owned()),
        })
    }
}
