//! The ports: nine in a row from a base and two more for each further vault node, or any that are free.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::state::{State, read_if_there, write_private_json};

/// Where ports are taken from when any will do.
const FIRST_BLOCK: u16 = 12_000;
const BLOCK_SIZE: u16 = 40;
const BLOCKS: u16 = 500;

/// The ports of one vault node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VaultPorts {
    pub(crate) data: u16,
    pub(crate) control: u16,
}

/// Every listener's port on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) gateway: u16,
    pub(crate) gateway_control: u16,
    pub(crate) vault_data: u16,
    pub(crate) vault_control: u16,
    pub(crate) acquirer: u16,
    pub(crate) networks: u16,
    pub(crate) fronts: u16,
    pub(crate) admin: u16,
    pub(crate) services: u16,
    /// The vault's nodes from number 1 on.
    #[serde(default)]
    pub(crate) further_vaults: Vec<VaultPorts>,
}

impl Ports {
    /// From `base`; with base 0 those of the last run on this state when they are free, else any that are.
    ///
    /// # Errors
    /// When one is in use, naming it and the option that chooses others.
    pub(crate) fn choose(base: u16, vault_nodes: usize, state: &State) -> Result<Self> {
        let further = vault_nodes.saturating_sub(1);
        let remembered = state.path("ports.json");
        let ports = if base == 0 {
            let last = read_if_there(&remembered)?.and_then(|json| serde_json::from_str::<Self>(&json).ok());
            match last.filter(|ports| ports.further_vaults.len() == further && ports.taken().is_empty()) {
                Some(ports) => ports,
                None => Self::any_free(further)?,
            }
        } else {
            Self::from_base(base, further)?
        };
        ports.require_free(base)?;
        write_private_json(&remembered, &ports)?;
        Ok(ports)
    }

    /// Those of node 0 first.
    pub(crate) fn vaults(&self) -> Vec<VaultPorts> {
        let first = VaultPorts { data: self.vault_data, control: self.vault_control };
        std::iter::once(first).chain(self.further_vaults.iter().copied()).collect()
    }

    fn from_base(base: u16, further: usize) -> Result<Self> {
        let port = |offset| base.checked_add(offset).context("--port-base leaves no room; it must be at most 65500");
        let vault = |number: usize| {
            let first = 10 + 2 * u16::try_from(number)?;
            Ok(VaultPorts { data: port(first)?, control: port(first + 1)? })
        };
        Ok(Self {
            further_vaults: (0..further).map(vault).collect::<Result<_>>()?,
            gateway: port(1)?,
            gateway_control: port(2)?,
            vault_data: port(3)?,
            vault_control: port(4)?,
            acquirer: port(5)?,
            networks: port(6)?,
            fronts: port(7)?,
            admin: port(8)?,
            services: port(9)?,
        })
    }

    /// A block of ports that no other Kura on this machine has, for as long as this process lives: a service that is down for a
    /// moment finds its port again. They lie below those that the system gives to connections.
    fn any_free(further: usize) -> Result<Self> {
        let claims = std::env::temp_dir().join("kura-ports");
        std::fs::create_dir_all(&claims).with_context(|| format!("can't make {}", claims.display()))?;
        let from = u16::try_from(std::process::id() % u32::from(BLOCKS))?;
        for block in (from..BLOCKS).chain(0..from) {
            let Ok(claim) = File::create(claims.join(block.to_string())) else { continue };
            let ports = Self::from_base(FIRST_BLOCK + block * BLOCK_SIZE, further)?;
            if claim.try_lock().is_ok() && ports.taken().is_empty() {
                // It ends with the process.
                std::mem::forget(claim);
                return Ok(ports);
            }
        }
        bail!("no free ports on 127.0.0.1")
    }

    fn named(&self) -> Vec<(u16, &'static str)> {
        let further = self.further_vaults.iter();
        let further = further.flat_map(|vault| [(vault.data, "a vault node"), (vault.control, "a vault node")]);
        let named = [
            (self.gateway, "the gateway"),
            (self.gateway_control, "the gateway's control plane"),
            (self.vault_data, "the vault's data plane"),
            (self.vault_control, "the vault's control plane"),
            (self.acquirer, "the simulated acquirer"),
            (self.networks, "the simulated networks' page"),
            (self.fronts, "the sample shop"),
            (self.admin, "the console"),
            (self.services, "the simulated networks' services"),
        ];
        named.into_iter().chain(further).collect()
    }

    fn taken(&self) -> Vec<(u16, &'static str)> {
        self.named().into_iter().filter(|(port, _)| TcpListener::bind(local(*port)).is_err()).collect()
    }

    fn require_free(&self, base: u16) -> Result<()> {
        let taken = self.taken();
        if taken.is_empty() {
            return Ok(());
        }
        let mut message = String::new();
        for (port, whose) in taken {
            let _ = writeln!(message, "port {port} is in use, and {whose} needs it");
        }
        let other = if base < 50_000 { base + 1000 } else { 7100 };
        bail!(
            "{message}stop what uses it, or choose other ports: cargo kura up --port-base {other} (0 takes any free ones)"
        );
    }
}

/// The loopback address with this port.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The address that a browser is given.
pub(crate) fn url(port: u16) -> String {
    format!("http://localhost:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Free ports are all different, and a taken one is named together with its option.
    #[test]
    fn a_taken_port_is_named() {
        let ports = Ports::any_free(2).unwrap();
        let mut all: Vec<u16> = ports.named().iter().map(|(port, _)| *port).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 13);

        let _held = TcpListener::bind(local(ports.admin)).unwrap();
        let message = ports.require_free(7100).unwrap_err().to_string();
        assert!(message.contains(&ports.admin.to_string()) && message.contains("--port-base"), "{message}");
    }
}
