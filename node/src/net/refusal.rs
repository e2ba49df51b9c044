//! Why somebody was refused. Why: an operator must see who knocks, in words that do not come from
//! the one who knocks. In scope: reading libp2p's errors. Out of scope: how many refusals are told
//! (`outbox`).

use libp2p::{
    allow_block_list::NotAllowed,
    connection_limits::Exceeded,
    swarm::{ConnectionDenied, DialError, ListenError},
};

use super::codec::FrameError;

/// Why a connection or a frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its key is on no list of ours.
    #[error("a peer that is not on the roster was refused")]
    Unlisted,
    /// It is listed, and was disconnected for a fault a short while ago.
    #[error("a peer that was dropped for a fault came back too soon and was refused")]
    Penalised,
    /// A limit on connections is reached.
    #[error("a connection beyond the limit was refused")]
    TooManyConnections,
    /// Somebody else answered at a listed address, or the peer shows our own key.
    #[error("a peer did not show the key that was expected of it")]
    WrongIdentity,
    /// A member sent a frame or a bulk request, which are for centres.
    #[error("a peer that may only match sent something else and was disconnected")]
    NotACentre,
    /// It broke the framing.
    #[error("a frame was refused: {0}")]
    Frame(FrameError),
}

impl Refusal {
    /// `None` if the connection merely failed.
    pub(super) fn of_listen(error: &ListenError) -> Option<Self> {
        match error {
            ListenError::Denied { cause } => Self::of_denial(cause),
            ListenError::WrongPeerId { .. } | ListenError::LocalPeerId { .. } => {
                Some(Self::WrongIdentity)
            }
            ListenError::Aborted | ListenError::Transport(_) => None,
        }
    }

    /// `None` if the dial merely failed.
    pub(super) fn of_dial(error: &DialError) -> Option<Self> {
        match error {
            DialError::Denied { cause } => Self::of_denial(cause),
            DialError::WrongPeerId { .. } | DialError::LocalPeerId { .. } => {
                Some(Self::WrongIdentity)
            }
            DialError::NoAddresses
            | DialError::DialPeerConditionFalse(_)
            | DialError::Aborted
            | DialError::Transport(_) => None,
        }
    }

    fn of_denial(cause: &ConnectionDenied) -> Option<Self> {
        if cause.downcast_ref::<NotAllowed>().is_some() {
            return Some(Self::Unlisted);
        }
        cause
            .downcast_ref::<Exceeded>()
            .map(|_| Self::TooManyConnections)
    }
}
