//! The shape, its documents and its queries, without a node.

mod asks;
mod forms;
mod rows;
