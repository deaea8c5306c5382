//! Work of one merchant at the database, grouped: while one group is under way, what comes meanwhile gathers, and all of it goes
//! in the next. No timer: who comes alone goes at once. Under load a commit, and what every statement costs whatever it
//! does, is shared by as many as wait.
//!
//! A group holds one merchant's jobs only, since a connection shows one merchant's rows.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{ApiError, ApiResult};
use crate::store::Tenant;

/// Jobs in one group at the most.
const MAX_GROUP: usize = 128;

/// What is done for a group.
pub trait Work: Send + Sync + 'static {
    /// What one of many asks for.
    type Job: Send + Sync + 'static;
    /// What it gets.
    type Done: Send + 'static;

    /// Does it for all of them, in their order, or for none.
    fn run(&self, tenant: Tenant, jobs: &[Self::Job]) -> impl Future<Output = Result<Vec<Self::Done>, Failed>> + Send;
}

/// Why a group came to nothing.
#[derive(Debug)]
pub struct Failed {
    error: ApiError,
    /// Surely nothing was done, and perhaps because of one job of many: the others may succeed without it.
    of_one: bool,
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self { error, of_one: true }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        // Class 23, integrity constraints; class 40, rolled back for the sake of others; class 22, data.
        let of_one = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| ["22", "23", "40"].iter().any(|class| code.starts_with(class)));
        Self { error: error.into(), of_one }
    }
}

struct Waiting<W: Work> {
    job: W::Job,
    done: oneshot::Sender<ApiResult<W::Done>>,
}

/// The lanes of all merchants for one kind of work.
pub struct Lanes<W: Work>(Arc<Inner<W>>);

struct Inner<W: Work> {
    work: W,
    /// Who waits, for each merchant that has a group under way.
    queues: Mutex<HashMap<Tenant, Vec<Waiting<W>>>>,
}

impl<W: Work> Lanes<W> {
    /// No one waits.
    pub fn new(work: W) -> Self {
        Self(Arc::new(Inner { work, queues: Mutex::default() }))
    }

    /// Has one job done. It is done even if nobody waits for the answer any more.
    ///
    /// # Errors
    /// The job's own, or its group's.
    pub async fn ask(&self, tenant: Tenant, job: W::Job) -> ApiResult<W::Done> {
        let (done, answer) = oneshot::channel();
        if self.0.enqueue(tenant, Waiting { job, done }) {
            let lane = Lane { inner: Arc::clone(&self.0), tenant, ended: false };
            tokio::spawn(lane.run());
        }
        answer.await.map_err(|_| ApiError::internal("a group ended early"))?
    }
}

impl<W: Work> Inner<W> {
    fn queues(&self) -> MutexGuard<'_, HashMap<Tenant, Vec<Waiting<W>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where this merchant's lane is to be begun.
    fn enqueue(&self, tenant: Tenant, waiting: Waiting<W>) -> bool {
        let mut queues = self.queues();
        let idle = !queues.contains_key(&tenant);
        queues.entry(tenant).or_default().push(waiting);
        idle
    }
}

/// One merchant's lane while there is work in it. Whoever waits when it ends, even by a panic, is let go.
struct Lane<W: Work> {
    inner: Arc<Inner<W>>,
    tenant: Tenant,
    ended: bool,
}

impl<W: Work> Lane<W> {
    async fn run(mut self) {
        while let Some(group) = self.next() {
            let (jobs, done): (Vec<W::Job>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.job, waiting.done)).unzip();
            match self.inner.work.run(self.tenant, &jobs).await {
                Ok(answers) => {
                    for (done, answer) in done.into_iter().zip(answers) {
                        let _ = done.send(Ok(answer));
                    }
                }
                Err(failed) if failed.of_one && jobs.len() > 1 => self.one_by_one(&jobs, done).await,
                Err(failed) => {
                    for done in done {
                        let _ = done.send(Err(failed.error.clone()));
                    }
                }
            }
        }
    }

    /// The next group; `None` ends the lane.
    fn next(&mut self) -> Option<Vec<Waiting<W>>> {
        let mut queues = self.inner.queues();
        let queue = queues.get_mut(&self.tenant)?;
        if queue.is_empty() {
            queues.remove(&self.tenant);
            self.ended = true;
            return None;
        }
        let rest = queue.split_off(queue.len().min(MAX_GROUP));
        Some(std::mem::replace(queue, rest))
    }

    /// One of them must not take the others with it.
    async fn one_by_one(&self, jobs: &[W::Job], done: Vec<oneshot::Sender<ApiResult<W::Done>>>) {
        for (job, done) in jobs.iter().zip(done) {
            let answer = self.inner.work.run(self.tenant, std::slice::from_ref(job)).await;
            let answer = answer
                .map_err(|failed| failed.error)
                .and_then(|answers| answers.into_iter().next().ok_or_else(|| ApiError::internal("no answer to a job")));
            let _ = done.send(answer);
        }
    }
}

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        if !self.ended {
            self.inner.queues().remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;
    use kura_wire::ids::MerchantId;
    use tokio::sync::Semaphore;

    /// Doubles even numbers; an odd one spoils its group, and 13 brings the house down.
    struct Doubling {
        groups: Arc<Mutex<Vec<usize>>>,
        open: Arc<Semaphore>,
    }

    impl Work for Doubling {
        type Job = u32;
        type Done = u32;

        async fn run(&self, _: Tenant, jobs: &[u32]) -> Result<Vec<u32>, Failed> {
            self.open.acquire().await.unwrap().forget();
            self.groups.lock().unwrap().push(jobs.len());
            assert!(!jobs.contains(&13), "unlucky");
            if jobs.contains(&99) {
                return Err(Failed { error: ApiError::new(Code::Interrupted), of_one: false });
            }
            if jobs.iter().any(|job| job % 2 == 1) {
                return Err(ApiError::new(Code::ParameterInvalid).into());
            }
            Ok(jobs.iter().map(|job| job * 2).collect())
        }
    }

    type Asked = tokio::task::JoinHandle<ApiResult<u32>>;

    struct Bench {
        lanes: Arc<Lanes<Doubling>>,
        groups: Arc<Mutex<Vec<usize>>>,
        open: Arc<Semaphore>,
    }

    impl Bench {
        fn new() -> Self {
            let (groups, open) = (Arc::default(), Arc::new(Semaphore::new(0)));
            let work = Doubling { groups: Arc::clone(&groups), open: Arc::clone(&open) };
            Self { lanes: Arc::new(Lanes::new(work)), groups, open }
        }

        async fn ask(&self, merchant: u8, job: u32) -> Asked {
            let lanes = Arc::clone(&self.lanes);
            let tenant = Tenant::new(MerchantId::from_bytes([merchant; 16]), false);
            let asked = tokio::spawn(async move { lanes.ask(tenant, job).await });
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            asked
        }

        fn groups(&self) -> Vec<usize> {
            self.groups.lock().unwrap().clone()
        }
    }

    /// Who comes first goes alone; who comes meanwhile goes together; another merchant waits for nobody.
    #[tokio::test]
    async fn what_comes_meanwhile_goes_together() {
        let bench = Bench::new();
        let first = bench.ask(1, 2).await;
        let (second, third) = (bench.ask(1, 4).await, bench.ask(1, 6).await);
        let other = bench.ask(2, 8).await;
        bench.open.add_permits(3);
        for (asked, doubled) in [(first, 4), (second, 8), (third, 12), (other, 16)] {
            assert_eq!(asked.await.unwrap().unwrap(), doubled);
        }
        let mut groups = bench.groups();
        groups.sort_unstable();
        assert_eq!(groups, [1, 1, 2]);
        assert!(bench.lanes.0.queues().is_empty(), "a lane without work is no lane");
    }

    /// A job that can't be done fails alone.
    #[tokio::test]
    async fn one_bad_job_spoils_no_other() {
        let bench = Bench::new();
        let first = bench.ask(1, 2).await;
        let (good, bad, better) = (bench.ask(1, 4).await, bench.ask(1, 5).await, bench.ask(1, 6).await);
        bench.open.add_permits(5);
        assert_eq!(first.await.unwrap().unwrap(), 4);
        assert_eq!(good.await.unwrap().unwrap(), 8);
        assert_eq!(bad.await.unwrap().unwrap_err().code(), Code::ParameterInvalid);
        assert_eq!(better.await.unwrap().unwrap(), 12);
        assert_eq!(bench.groups(), [1, 3, 1, 1, 1]);
    }

    /// Where it is open whether something was done, nothing is done again.
    #[tokio::test]
    async fn what_is_in_doubt_is_not_done_again() {
        let bench = Bench::new();
        let first = bench.ask(1, 2).await;
        let (one, two) = (bench.ask(1, 4).await, bench.ask(1, 99).await);
        bench.open.add_permits(9);
        assert_eq!(first.await.unwrap().unwrap(), 4);
        assert_eq!(one.await.unwrap().unwrap_err().code(), Code::Interrupted);
        assert_eq!(two.await.unwrap().unwrap_err().code(), Code::Interrupted);
        assert_eq!(bench.groups(), [1, 2]);
    }

    /// A panic lets everybody go who waits, and the lane begins anew with the next.
    #[tokio::test]
    async fn a_panic_leaves_nobody_waiting() {
        let bench = Bench::new();
        let (unlucky, waiting) = (bench.ask(1, 13).await, bench.ask(1, 4).await);
        bench.open.add_permits(9);
        assert_eq!(unlucky.await.unwrap().unwrap_err().code(), Code::InternalError);
        assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::InternalError);
        assert_eq!(bench.ask(1, 4).await.await.unwrap().unwrap(), 8);
    }
}
