//! Carrying out what an engine wants of brokers that assign queues, and of those that are popped.

use std::sync::Arc;

use super::shared::Shared;
use crate::consumer::engine::{Action, Order};

pub(super) fn perform(_shared: &Arc<Shared>, _order: Order, _action: Action) {}
