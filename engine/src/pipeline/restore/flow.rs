//! Rows, what comes after them, and the proof, as one flow of work for all sessions.
//!
//! A table's indexes, keys and foreign keys are made as soon as the rows they need are there, and it is
//! read back as soon as its own are: no session waits for the last row of the largest table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::data::{self, Load};
use super::post::{self, beating};
use super::proof::{self, Compare, TableProof};
use super::undo::Made;
use super::{Job, lose};
use crate::error::{Error, Result};
use crate::monitor::{Loss, Task};
use crate::pipeline::archive::ArchivedTable;
use crate::repository::Repository;
use crate::source::postgres::logical::contents::RowTally;
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};
use crate::source::postgres::logical::restore::maker::{Maker, MakerOptions};
use crate::source::postgres::logical::restore::schedule::{Schedule, Step, shares, touched};
use crate::source::postgres::logical::restore::session;
use crate::source::postgres::target::Target;
use crate::source::postgres::wire::{Connection, RowSecret};

/// What the flow brought.
#[derive(Debug, Default)]
pub(super) struct Flowed {
    /// Objects made.
    pub(super) objects: u64,
    /// Rows loaded.
    pub(super) rows: u64,
    /// Tables compared.
    pub(super) tables: Vec<TableProof>,
}

/// One piece of work.
#[derive(Clone)]
enum Work {
    /// Nothing: it stands for what came before.
    Join,
    Load(Arc<Load>),
    Make(Arc<Object>),
    /// The place of a comparison.
    Compare(usize),
}

/// The work and its order.
#[derive(Default)]
struct Draft {
    works: Vec<Work>,
    steps: Vec<Step>,
}

impl Draft {
    fn push(&mut self, work: Work, step: Step) -> usize {
        self.works.push(work);
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn join(&mut self, after: Vec<usize>) -> usize {
        let step = Step {
            after,
            is_join: true,
            ..Step::default()
        };
        self.push(Work::Join, step)
    }
}

/// Which loads bring the rows of which table.
struct Loads {
    /// By table, the places of the loads that may put rows into it.
    of: HashMap<ObjectNumber, Vec<usize>>,
    /// Partitions and children of each table, at any depth.
    below: HashMap<ObjectNumber, HashSet<ObjectNumber>>,
    /// By table, the step at which it and what is below it are loaded.
    joins: HashMap<ObjectNumber, usize>,
    /// The step at which everything is.
    all: usize,
}

impl Loads {
    /// The step at which `table` has all its rows.
    fn join(&mut self, draft: &mut Draft, table: ObjectNumber) -> usize {
        if let Some(place) = self.joins.get(&table) {
            return *place;
        }
        let below = self.below.get(&table).into_iter().flatten().copied();
        let tables = below.chain([table]);
        let loads: HashSet<usize> = tables
            .flat_map(|table| self.of.get(&table).into_iter().flatten().copied())
            .collect();
        let place = draft.join(loads.into_iter().collect());
        self.joins.insert(table, place);
        place
    }
}

/// Loads every wanted table, makes what comes after the rows, and reads the tables back.
pub(super) async fn run(job: &Job<'_>, made: &mut Made, losses: &mut Vec<Loss>) -> Result<Flowed> {
    let tables = job.tables();
    data::lacking(&tables, losses);
    let mut compares = proof::compares(job);
    compares.sort_by_key(|compare| std::cmp::Reverse(compare.recorded.data_bytes));
    let draft = draft(job, &tables, &compares);
    announce(job, &tables, &compares, &draft);
    let shared = Arc::new(Shared {
        repository: job.repository.clone(),
        target: job.target.clone(),
        database: job.plan.working_database().to_owned(),
        settings: session::settings(job.plan.target_version_num),
        maker_options: job.maker_options(),
        secret: RowSecret::new(job.repository.row_hash_secret()),
        task: job.task.clone(),
        compares,
        connections: Mutex::default(),
        makers: Mutex::default(),
    });
    let mut flowed = Flowed::default();
    let found = work_off(job, draft, &shared, made, &mut flowed, losses).await?;
    flowed.tables = found
        .into_iter()
        .map(|(place, found)| proof::judge(job, &shared.compares[place], found, losses))
        .collect();
    Ok(flowed)
}

fn announce(job: &Job<'_>, tables: &[&ArchivedTable], compares: &[Compare], draft: &Draft) {
    let loaded: u64 = tables.iter().map(|table| table.entry.sum.data_bytes).sum();
    let compared: u64 = compares.iter().map(|one| one.recorded.data_bytes).sum();
    let is_work = |work: &&Work| !matches!(work, Work::Join);
    let count = draft.works.iter().filter(is_work).count() as u64;
    let monitor = &job.task.monitor;
    monitor.stage("loading rows, making indexes, comparing");
    monitor.foresee(Some(count), Some(loaded + compared));
}

/// What was found in which comparison's tables, in their order.
type Found = Vec<(usize, RowTally)>;

async fn work_off(
    job: &Job<'_>,
    draft: Draft,
    shared: &Arc<Shared>,
    made: &mut Made,
    flowed: &mut Flowed,
    losses: &mut Vec<Loss>,
) -> Result<Found> {
    let Draft { works, steps } = draft;
    let mut schedule = Schedule::new(steps);
    let mut running: JoinSet<Result<Done>> = JoinSet::new();
    let mut compared = Vec::new();
    while !schedule.is_finished() {
        while running.len() < job.workers
            && let Some(place) = schedule.take()
        {
            let shared = Arc::clone(shared);
            let work = works[place].clone();
            if let Work::Make(object) = &work {
                job.note(made, object);
            }
            running.spawn(async move { shared.work(place, &work).await });
        }
        let Some(ended) = running.join_next().await else {
            return Err(Error::internal("Nothing runs, yet something waits"));
        };
        // The first failure ends the others: dropping the set stops them at once.
        let mut done = ended.map_err(|error| Error::internal("A worker died").because(error))??;
        flowed.objects += u64::from(done.is_object && done.losses.is_empty());
        flowed.rows += done.rows;
        compared.extend(done.compared);
        losses.append(&mut done.losses);
        schedule.finish(done.place);
        job.task.monitor.advance(1, 0, 0);
    }
    compared.sort_by_key(|(place, _)| *place);
    Ok(compared)
}

fn draft(job: &Job<'_>, tables: &[&ArchivedTable], compares: &[Compare]) -> Draft {
    let mut draft = Draft::default();
    let all: HashMap<ObjectNumber, &Object> = job
        .objects()
        .map(|object| (object.number, object))
        .collect();
    let mut loads = draft_loads(job, tables, &mut draft);
    draft_objects(job, tables, &all, &mut loads, &mut draft);
    for (place, compare) in compares.iter().enumerate() {
        let joins = compare.tables.iter();
        let step = Step {
            after: joins.map(|table| loads.join(&mut draft, *table)).collect(),
            shared: compare.tables.iter().copied().collect(),
            cost: compare.recorded.data_bytes / 2,
            ..Step::default()
        };
        draft.push(Work::Compare(place), step);
    }
    draft
}

fn draft_loads(job: &Job<'_>, tables: &[&ArchivedTable], draft: &mut Draft) -> Loads {
    let below = below(job);
    let roots: HashMap<(&str, &str), ObjectNumber> = job
        .archive
        .objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Table)
        .filter_map(|table| {
            Some((
                (table.schema.as_deref()?, table.name.as_str()),
                table.number,
            ))
        })
        .collect();
    let mut of: HashMap<ObjectNumber, Vec<usize>> = HashMap::new();
    let mut wave_before: Option<usize> = None;
    for wave in data::waves(tables) {
        let mut places = Vec::new();
        for table in wave {
            let through = table.entry.through.as_ref();
            let root =
                through.and_then(|(schema, name)| roots.get(&(schema.as_str(), name.as_str())));
            for load in data::loads(job, table) {
                let step = Step {
                    after: wave_before.into_iter().collect(),
                    cost: load.bytes,
                    ..Step::default()
                };
                let place = draft.push(Work::Load(Arc::new(load)), step);
                places.push(place);
                of.entry(table.entry.number).or_default().push(place);
                for number in root.iter().filter_map(|root| below.get(*root)).flatten() {
                    of.entry(*number).or_default().push(place);
                }
            }
        }
        places.extend(wave_before);
        wave_before = Some(draft.join(places));
    }
    Loads {
        of,
        below,
        joins: HashMap::new(),
        all: wave_before.unwrap_or_else(|| draft.join(Vec::new())),
    }
}

/// The partitions and children of each table. Other tables that need a table count as well: a wait
/// too many does no harm.
fn below(job: &Job<'_>) -> HashMap<ObjectNumber, HashSet<ObjectNumber>> {
    let mut below: HashMap<ObjectNumber, HashSet<ObjectNumber>> = HashMap::new();
    let mut tables = HashSet::new();
    for object in job.objects() {
        let child = match object.kind {
            ObjectKind::Table | ObjectKind::ForeignTable => object.number,
            ObjectKind::TableAttach => object.of.unwrap_or(object.number),
            _ => continue,
        };
        tables.insert(object.number);
        for parent in &object.depends_on {
            if *parent != child && tables.contains(parent) {
                below.entry(*parent).or_default().insert(child);
            }
        }
    }
    let parents: Vec<ObjectNumber> = below.keys().copied().collect();
    for parent in parents {
        let mut all = HashSet::new();
        let mut next = vec![parent];
        while let Some(table) = next.pop() {
            for child in below.get(&table).into_iter().flatten() {
                if all.insert(*child) {
                    next.push(*child);
                }
            }
        }
        below.insert(parent, all);
    }
    below
}

fn draft_objects(
    job: &Job<'_>,
    tables: &[&ArchivedTable],
    all: &HashMap<ObjectNumber, &Object>,
    loads: &mut Loads,
    draft: &mut Draft,
) {
    let mut bytes: HashMap<ObjectNumber, u64> = HashMap::new();
    for table in tables {
        *bytes.entry(table.entry.number).or_default() += table.entry.sum.data_bytes;
    }
    // Tables under another name have numbers of their own, which no load tells.
    let may_be_early = job.renamed.objects.is_empty();
    let mut places: HashMap<ObjectNumber, usize> = HashMap::new();
    for object in job.objects().filter(|object| post::is_post(object)) {
        let touched = touched(object, all);
        // The order is already free of loops: only what stands before can be waited for.
        let before = object.depends_on.iter();
        let mut after: HashSet<usize> = before
            .filter_map(|number| places.get(number).copied())
            .collect();
        if may_be_early && post::is_early(object) && !touched.is_empty() {
            after.extend(touched.iter().map(|table| loads.join(draft, *table)));
        } else {
            after.insert(loads.all);
        }
        let table_bytes = object.of.and_then(|table| bytes.get(&table).copied());
        let (exclusive, shared) = if shares(object) {
            (HashSet::new(), touched)
        } else {
            (touched, HashSet::new())
        };
        let step = Step {
            after: after.into_iter().collect(),
            exclusive,
            shared,
            cost: post::cost(object, table_bytes.unwrap_or_default()),
            is_join: false,
        };
        let place = draft.push(Work::Make(Arc::new(object.clone())), step);
        places.insert(object.number, place);
    }
}

/// What the workers share.
struct Shared {
    repository: Repository,
    target: Target,
    database: String,
    settings: String,
    maker_options: MakerOptions,
    secret: RowSecret,
    task: Task,
    compares: Vec<Compare>,
    /// Sessions that nobody uses at the moment.
    connections: Mutex<Vec<Connection>>,
    makers: Mutex<Vec<Maker>>,
}

/// What came of one piece of work.
#[derive(Default)]
struct Done {
    place: usize,
    is_object: bool,
    rows: u64,
    compared: Option<(usize, RowTally)>,
    losses: Vec<Loss>,
}

impl Shared {
    async fn work(&self, place: usize, work: &Work) -> Result<Done> {
        let mut done = Done {
            place,
            ..Done::default()
        };
        match work {
            Work::Join => {}
            Work::Make(object) => {
                done.is_object = true;
                let mut maker = self.maker().await?;
                beating(&self.task, maker.make(object, &mut done.losses)).await?;
                self.makers.lock().push(maker);
            }
            Work::Load(load) => {
                let mut session = self.connection().await?;
                match data::load(&self.repository, &self.task, load, &mut session).await {
                    Ok(rows) => done.rows = rows,
                    Err(error) => {
                        lose(&format!("rows of {}", load.label), error, &mut done.losses)?;
                    }
                }
                self.connections.lock().push(session);
            }
            Work::Compare(number) => {
                let mut session = self.connection().await?;
                let compare = &self.compares[*number];
                match proof::read(compare, &self.secret, &mut session, &self.task).await {
                    Ok(found) => done.compared = Some((*number, found)),
                    Err(error) => lose(&compare.label(), error, &mut done.losses)?,
                }
                self.connections.lock().push(session);
            }
        }
        Ok(done)
    }

    async fn connection(&self) -> Result<Connection> {
        let idle = self.connections.lock().pop();
        if let Some(session) = idle {
            return Ok(session);
        }
        let mut session = self.target.wire(&self.database).await?;
        // Values are read and compared as they were written.
        session.run(&self.settings).await?;
        Ok(session)
    }

    async fn maker(&self) -> Result<Maker> {
        let idle = self.makers.lock().pop();
        match idle {
            Some(maker) => Ok(maker),
            None => Maker::open(&self.target, &self.database, self.maker_options.clone()).await,
        }
    }
}
