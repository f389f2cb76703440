//! `recado appointments import|export`: spreadsheets and calendar files.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json, text};
use crate::engine::availability::parse_starts;
use crate::features::appointments::sheet::{Context, FILE_MAX_BYTES};
use crate::features::appointments::{feed, ical, sheet};
use crate::http::views::appointment::AppointmentView;
use crate::store::LIST_MAX;
use crate::store::tables::appointments::{Filter, Imported, Row, Starts, Withdrawal};

/// Import appointments from a spreadsheet (CSV) or a calendar file (.ics), in one transaction
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado appointments import week.csv --preview\n  \
    recado appointments import marta.ics --staff Marta\n\n\
    The first line of a spreadsheet names its columns: customer, service, starts_at, and optionally external_id, name, \
    staff, minutes, state, note. Importing a file again changes nothing. Refused lines are reported and left out.\n\n\
    A calendar file is compared with the files before: occurrences that an event no longer has are withdrawn, which means \
    cancelled. The preview lists them first. An older version of an event changes nothing.")]
pub struct ImportArgs {
    #[command(flatten)]
    of: TenantArg,
    /// File to read: iCalendar if its name ends in .ics, else CSV
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    preview: bool,
    /// Staff member, where the file names none
    #[arg(long, value_name = "NAME")]
    staff: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Export appointments to standard output, as a spreadsheet (CSV) or a calendar
#[derive(clap::Args)]
#[command(after_help = "Example: recado appointments export --from 2026-12-01T00:00 > december.csv\n\n\
    Without --from it exports all appointments. A cell that a spreadsheet would read as a formula starts with '.")]
pub struct ExportArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Only appointments that end after this time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    from: Option<Starts>,
    /// Only appointments that start before this time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    to: Option<Starts>,
    /// Write iCalendar
    #[arg(long)]
    ics: bool,
}

/// The result of an import.
#[derive(Debug, Default, Serialize)]
struct Report {
    preview: bool,
    new: usize,
    changed: usize,
    unchanged: usize,
    /// Calendar entries of which a newer version is known.
    older: usize,
    /// Appointments that are cancelled, because their event no longer has them.
    withdrawn: Vec<AppointmentView>,
    /// Calendar entries in the past, or too far ahead.
    passed_over: usize,
    refused: Vec<Refused>,
    /// Lines of a calendar file that cannot be read.
    left_out: Vec<ical::LeftOut>,
    /// How many such lines there are besides.
    left_out_more: usize,
}

impl Report {
    /// Whether an appointment may be missing or wrong.
    fn is_complete(&self) -> bool {
        self.refused.is_empty() && self.left_out_more == 0 && !self.left_out.iter().any(|one| one.matters)
    }
}

#[derive(Debug, Serialize)]
struct Refused {
    /// The line of a spreadsheet, or the UID of a calendar entry.
    at: String,
    code: &'static str,
    reason: String,
}

pub async fn import(args: ImportArgs) -> Result<Outcome, CliError> {
    let bytes = read(&args.file)?;
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let context = Context { tenant: tenant.id, zone: tenant.zone, home: tenant.home(), staff: args.staff.as_deref() };
    let mut report = Report { preview: args.preview, ..Report::default() };
    let refused = |error: &dyn std::fmt::Display| CliError::Refused(format!("{}: {error}", args.file.display()));
    let is_calendar = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"));
    let mut withdrawals: Vec<Withdrawal> = Vec::new();
    let said: Vec<(String, Result<Row, String>)> = if is_calendar {
        let read = ical::read(&bytes, context, installation.clock.now()).map_err(|error| refused(&error))?;
        report.passed_over = read.passed_over;
        report.left_out = read.left_out.named;
        report.left_out_more = read.left_out.more;
        withdrawals = read.withdrawals;
        read.entries.into_iter().map(|entry| (format!("UID {}", entry.uid), entry.row)).collect()
    } else {
        let lines = sheet::read(&bytes, context).map_err(|error| refused(&error))?;
        lines.into_iter().map(|line| (format!("line {}", line.line), line.row)).collect()
    };
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for (at, row) in said {
        match row {
            Ok(row) => {
                rows.push(row);
                places.push(at);
            }
            Err(reason) => report.refused.push(Refused { at, code: "unreadable", reason }),
        }
    }
    let imported = installation.store.import_calendar(tenant.id, &rows, &withdrawals, args.preview).await?;
    report.withdrawn = imported.withdrawn.into_iter().map(AppointmentView::from).collect();
    for (at, one) in places.into_iter().zip(imported.rows) {
        match one {
            Ok(Imported::New(_)) => report.new += 1,
            Ok(Imported::Changed(_)) => report.changed += 1,
            Ok(Imported::Unchanged(_)) => report.unchanged += 1,
            Ok(Imported::Older) => report.older += 1,
            Err(error) => report.refused.push(Refused { at, code: error.code(), reason: error.to_string() }),
        }
    }
    if args.json {
        print_json(&report)?
    } else {
        show(&report)?
    }
    Ok(if report.is_complete() { Outcome::Done } else { Outcome::Failed })
}

fn read(path: &PathBuf) -> Result<Vec<u8>, CliError> {
    let unread = |error| CliError::Refused(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(unread)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(CliError::Refused(format!(
            "{} has more than {FILE_MAX_BYTES} bytes: part it into smaller files",
            path.display()
        )));
    }
    Ok(bytes)
}

fn show(report: &Report) -> Result<(), CliError> {
    for one in &report.withdrawn {
        let who = one.phone.as_deref().unwrap_or("(erased)");
        let service = text::short(&one.service, 30);
        let when = one.starts_local.replace('T', " ");
        print(format!("UID {}: withdrawn: {service}, {when}, {who}", text::short(&one.uid, 80)))?;
    }
    for ical::LeftOut { line, property, reason, .. } in &report.left_out {
        print(format!("line {line}: left out: {}", text::one_line(&format!("{property}: {reason}"))))?;
    }
    if report.left_out_more > 0 {
        print(format!("{} more lines left out", report.left_out_more))?;
    }
    for Refused { at, reason, .. } in &report.refused {
        print(format!("{}: refused: {}", text::short(at, 80), text::one_line(reason)))?;
    }
    let mut parts = vec![format!(
        "{} new, {} changed, {} unchanged, {} withdrawn, {} refused",
        report.new,
        report.changed,
        report.unchanged,
        report.withdrawn.len(),
        report.refused.len()
    )];
    if report.older > 0 {
        parts.push(format!("{} older than what is known", report.older));
    }
    if report.passed_over > 0 {
        parts.push(format!("{} passed over (in the past, or more than a year ahead)", report.passed_over));
    }
    let preview = if report.preview { "  (a preview: nothing was changed)" } else { "" };
    print(format!("{}{preview}", parts.join(", ")))
}

pub async fn export(args: ExportArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let at = |starts: Starts| starts.at(tenant.zone);
    let mut filter = Filter { from: args.from.map(at), to: args.to.map(at), limit: LIST_MAX, ..Filter::default() };
    let mut all = Vec::new();
    loop {
        let page = installation.store.appointments(tenant.id, &filter).await?;
        filter.after = page.last().map(|last| (last.starts_at, last.id));
        let more = page.len() == LIST_MAX;
        all.extend(page);
        if !more {
            break;
        }
    }
    let text = if args.ics { feed::write(&tenant.name, &all).text } else { sheet::write(&all) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}
