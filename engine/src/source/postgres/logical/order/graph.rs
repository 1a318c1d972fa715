//! A graph of "comes after" edges, its stable topological order, and its loops.

use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

/// Nodes are numbered from zero in the order they should keep where no edge says otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    needs: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// A graph of `count` nodes without edges.
    pub(super) fn new(count: usize) -> Self {
        Self {
            needs: vec![BTreeSet::new(); count],
        }
    }

    /// `node` comes after `other`; a node is never made to follow itself.
    pub(super) fn need(&mut self, node: usize, other: usize) {
        if node != other {
            self.needs[node].insert(other);
        }
    }

    /// Takes an edge away; tells whether it was there.
    pub(super) fn forget(&mut self, node: usize, other: usize) -> bool {
        self.needs[node].remove(&other)
    }

    /// What `node` directly follows.
    pub(super) fn needs_of(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.needs[node].iter().copied()
    }

    /// All nodes so that each follows what it needs, otherwise by number; or, where loops
    /// prevent that, the nodes that are in a loop or needed by one.
    ///
    /// Works from the end: of the nodes that nothing left needs, the highest goes last.
    pub(super) fn order(&self) -> Result<Vec<usize>, Vec<usize>> {
        let count = self.needs.len();
        let mut needed_by = vec![0_usize; count];
        for others in &self.needs {
            for &other in others {
                needed_by[other] += 1;
            }
        }
        let mut ready: BinaryHeap<usize> = (0..count).filter(|&n| needed_by[n] == 0).collect();
        let mut backwards = Vec::with_capacity(count);
        while let Some(node) = ready.pop() {
            backwards.push(node);
            for &other in &self.needs[node] {
                needed_by[other] -= 1;
                if needed_by[other] == 0 {
                    ready.push(other);
                }
            }
        }
        if backwards.len() == count {
            backwards.reverse();
            Ok(backwards)
        } else {
            Err((0..count).filter(|&n| needed_by[n] > 0).collect())
        }
    }

    /// Loops among `nodes`, each a shortest one through some node. They share no node but those
    /// from `shared` on. Each begins with some node, followed by one it needs, and so on back to
    /// the first.
    pub(super) fn loops(&self, nodes: &[usize], shared: usize) -> Vec<Vec<usize>> {
        let mut free = vec![false; self.needs.len()];
        for &node in nodes {
            free[node] = true;
        }
        self.strip_leaves(nodes, &mut free);
        let mut found = Vec::new();
        for &node in nodes {
            if !free[node] || node >= shared {
                continue;
            }
            free[node] = false;
            if let Some(members) = self.loop_through(node, &free) {
                for &member in members.iter().filter(|&&member| member < shared) {
                    free[member] = false;
                }
                found.push(members);
            }
        }
        found
    }

    /// Unmarks nodes that need nothing among the marked ones: they are in no loop.
    fn strip_leaves(&self, nodes: &[usize], free: &mut [bool]) {
        let mut open = vec![0_usize; self.needs.len()];
        let mut followers: Vec<Vec<usize>> = vec![Vec::new(); self.needs.len()];
        let mut leaves = Vec::new();
        for &node in nodes {
            for other in self.needs_of(node).filter(|&o| free[o]) {
                open[node] += 1;
                followers[other].push(node);
            }
            if open[node] == 0 {
                leaves.push(node);
            }
        }
        while let Some(leaf) = leaves.pop() {
            free[leaf] = false;
            for &follower in &followers[leaf] {
                open[follower] -= 1;
                if open[follower] == 0 {
                    leaves.push(follower);
                }
            }
        }
    }

    /// A shortest loop through `start` over nodes still `free`.
    fn loop_through(&self, start: usize, free: &[bool]) -> Option<Vec<usize>> {
        let mut came_from = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for other in self.needs_of(node) {
                if other == start {
                    let mut members = vec![node];
                    let mut at = node;
                    while let Some(&before) = came_from.get(&at) {
                        at = before;
                        members.push(at);
                    }
                    members.reverse();
                    return Some(members);
                }
                if free[other] && !came_from.contains_key(&other) {
                    came_from.insert(other, node);
                    queue.push_back(other);
                }
            }
        }
        None
    }
}
