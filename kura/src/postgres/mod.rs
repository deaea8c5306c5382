//! Private PostgreSQL: its programs, two clusters, the roles in them.

mod cluster;
mod place;
mod programs;
mod roles;

pub(crate) use cluster::{Cluster, Spec};
pub(crate) use place::Place;
pub(crate) use programs::Programs;
pub(crate) use roles::{apply_roles, owner_password_file, password_file, work_password_file};
