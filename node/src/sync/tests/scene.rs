//! What most hostile tests begin with.

use super::world::*;
use super::*;

/// A member that synchronised one delta, at cursor `A`; what comes behind is a test's.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) dir: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) list: Vec<Record>,
    pub(super) first: Delta,
}

impl Scene {
    pub(super) fn new() -> Self {
        let (world, dir) = (World::new(), folder());
        let list = records(0..10);
        let first = world.delta(0, &list, &[]);
        let items = [first.items(&world), end("A", false)].concat();
        let server = Server::start(&world, &world.manifest(1, 10), items);
        pass(&world, &server, dir.path()).unwrap();
        Self {
            world,
            dir,
            server,
            list,
            first,
        }
    }

    /// The server says these items; why the pass fails. What was here before is still here, and nothing was acknowledged.
    pub(super) fn says(&self, items: &[Vec<u8>]) -> SyncError {
        let manifest = self.world.manifest(2, 10);
        self.server
            .goes_on(&self.world, &manifest, "A", items.concat());
        let error = refused(&self.world, &self.server, self.dir.path());
        self.is_as_before();
        error
    }

    pub(super) fn is_as_before(&self) {
        assert_eq!(indexed(self.dir.path(), &self.list), all(&self.list));
        assert_eq!(self.server.says().acks, ["A"]);
    }
}
