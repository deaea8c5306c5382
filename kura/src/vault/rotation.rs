//! `cargo kura vault rotation`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kura_wire::ids::RotationId;
use kura_wire::rotation::{PATH_ROTATION_THROTTLE, PATH_ROTATIONS, Rotation, RotationKind, Throttle};

use super::control::Control;
use crate::terminal::{note, spoken};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Show the rotation that is under way, or the last one; change how fast it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Seal no more rows anew in a second than this, from now on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "unlimited")]
    rows_per_second: Option<u32>,
    /// Go as fast as it can from now on
    #[arg(long)]
    unlimited: bool,
    /// Stay until it is done
    #[arg(long)]
    wait: bool,
}

/// Shows or slows it.
pub(super) async fn run(control: &Control, arguments: Arguments) -> Result<ExitCode> {
    let mut rotation = latest(control).await?.context("no key was ever rotated")?;
    if arguments.rows_per_second.is_some() || arguments.unlimited {
        let path = PATH_ROTATION_THROTTLE.replace("{id}", &rotation.id.to_string());
        control.tell(&path, &Throttle { rows_per_second: arguments.rows_per_second }).await?;
        rotation = find(control, rotation.id).await?;
    }
    if arguments.wait && rotation.running {
        return watch(control, rotation.id).await;
    }
    show(control, &rotation)
}

async fn latest(control: &Control) -> Result<Option<Rotation>> {
    Ok(control.get::<Vec<Rotation>>(PATH_ROTATIONS, &()).await?.into_iter().next())
}

async fn find(control: &Control, id: RotationId) -> Result<Rotation> {
    let rotations: Vec<Rotation> = control.get(PATH_ROTATIONS, &()).await?;
    rotations.into_iter().find(|rotation| rotation.id == id).context("the rotation is gone")
}

/// Prints one; fails when something did not open.
pub(super) fn show(control: &Control, rotation: &Rotation) -> Result<ExitCode> {
    control.print(rotation, text)?;
    if rotation.items_damaged > 0 {
        note(&format!(
            "{} don't open: see the alerts. They stay as they are, and so do the keys that they are under.",
            rotation.items_damaged
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows how far it is until it is done. A vault that is away for a while is waited for.
pub(super) async fn watch(control: &Control, id: RotationId) -> Result<ExitCode> {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    bar.set_style(ProgressStyle::with_template("  {bar:40.cyan} {human_pos} of {human_len}  {wide_msg:.dim}")?);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let rotation = match find(control, id).await {
            Ok(rotation) => rotation,
            Err(error) => {
                bar.set_message(format!("{error:#}"));
                continue;
            }
        };
        bar.set_length(rotation.items_total);
        bar.set_position(rotation.items_done);
        bar.set_message(left(&rotation));
        if !rotation.running {
            bar.finish_and_clear();
            return show(control, &rotation);
        }
    }
}

fn left(rotation: &Rotation) -> String {
    rotation.seconds_left.map_or_else(String::new, |seconds| format!("{} left", spoken(Duration::from_secs(seconds))))
}

fn text(rotation: &Rotation) -> String {
    let (what, items) = match rotation.kind {
        RotationKind::Kek => ("KEK", "keys wrapped anew"),
        RotationKind::Dek => ("DEKs", "rows sealed anew"),
    };
    let state = if rotation.running { "under way" } else { "done" };
    let took = spoken(Duration::from_millis(rotation.worked_ms));
    let limit = rotation.rows_per_second.map_or_else(String::new, |limit| format!(", at most {limit} in a second"));
    let left = if rotation.running { format!("; {}", left(rotation)) } else { String::new() };
    format!(
        "rotation {} of {what}: {state}\n  {} of {} {items} in {took}{limit}{left}",
        rotation.id, rotation.items_done, rotation.items_total
    )
}
