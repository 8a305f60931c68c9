"""The whole tree against a plain one of dicts: any sequence of operations gives the same
answers, the same errors and the same tree, and leaves every invariant whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from namespace_world import BLOCK, CREATE, OVERWRITE, ROOT, World

from cairnfs.errors import (
    AlreadyBeingCreated,
    AlreadyExists,
    CairnError,
    DirectoryNotEmpty,
    FileSystemError,
    InvalidRequest,
    LeaseExpired,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from cairnfs.namespace import concat, truncating
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.types import Block


@dataclass
class File:
    blocks: list[int] = field(default_factory=list)
    holder: str | None = None
    mode: int = 0o644


@dataclass
class Directory:
    children: dict[str, Node] = field(default_factory=dict)
    mode: int = 0o755


Node = File | Directory


class Model:
    """What the operations should do, with the errors they should raise."""

    def __init__(self) -> None:
        self.root = Directory()

    def find(self, path: str) -> Node | None:
        node: Node = self.root
        for name in path.split("/")[1:]:
            if not name:
                continue
            if isinstance(node, File):
                return None
            if name not in node.children:
                return None
            node = node.children[name]
        return node

    def cross(self, path: str, error: type[CairnError]) -> None:
        """Raise if the path leads through a file."""
        parts = path.split("/")[1:]
        for i in range(1, len(parts)):
            if isinstance(self.find("/" + "/".join(parts[:i])), File):
                raise error

    def parent(self, path: str) -> Directory:
        node = self.find(path.rsplit("/", 1)[0] or "/")
        assert isinstance(node, Directory)
        return node

    def mkdirs(self, path: str) -> None:
        self.cross(path, NotADirectory)
        if isinstance(self.find(path), File):
            raise AlreadyExists
        self.make(path, inherit=False)

    def make(self, path: str, *, inherit: bool) -> None:
        """With ``inherit`` new directories are like the deepest one there is, and usable."""
        node: Node = self.root
        mode = None
        for name in path.split("/")[1:]:
            assert isinstance(node, Directory)
            if name not in node.children:
                mode = mode or (node.mode & 0o777 | 0o300 if inherit else 0o755)
                node.children[name] = Directory(mode=mode)
            node = node.children[name]

    def create(self, path: str, holder: str, overwrite: bool) -> None:
        self.cross(path, NotADirectory)
        existing = self.find(path)
        if isinstance(existing, Directory):
            raise AlreadyExists
        if isinstance(existing, File) and not overwrite:
            raise AlreadyBeingCreated if existing.holder else AlreadyExists
        directory = path.rsplit("/", 1)[0]
        if directory:
            self.make(directory, inherit=True)
        self.parent(path).children[path.rsplit("/", 1)[1]] = File(holder=holder)

    def open_file(self, path: str, holder: str) -> File:
        self.cross(path, PermissionDenied)
        node = self.find(path)
        if node is None:
            raise NotFound
        if not isinstance(node, File) or node.holder != holder:
            raise LeaseExpired
        return node

    def closed_file(self, path: str) -> File:
        self.cross(path, PermissionDenied)
        node = self.find(path)
        if not isinstance(node, File):
            raise NotFound
        return node

    def append(self, path: str, holder: str) -> None:
        self.cross(path, PermissionDenied)
        if isinstance(self.find(path), Directory):
            raise AlreadyExists
        file = self.closed_file(path)
        if file.holder:
            raise AlreadyBeingCreated
        file.holder = holder

    def delete(self, path: str, recursive: bool) -> bool:
        self.cross(path, PermissionDenied)
        node = self.find(path)
        if node is None:
            return False
        if isinstance(node, Directory) and node.children and not recursive:
            raise DirectoryNotEmpty
        del self.parent(path).children[path.rsplit("/", 1)[1]]
        return True

    def rename(self, source: str, destination: str) -> bool:
        self.cross(source, PermissionDenied)
        self.cross(destination, NotADirectory)
        if isinstance(self.find(destination), Directory):
            destination = f"{destination}/{source.rsplit('/', 1)[1]}"
        if self.find(source) is None:
            return False
        if source == destination:
            return True
        if destination.startswith(source + "/") or self.find(destination) is not None:
            return False
        if not isinstance(self.find(destination.rsplit("/", 1)[0] or "/"), Directory):
            return False
        self.move(source, destination)
        return True

    def rename2(self, source: str, destination: str, overwrite: bool) -> None:
        self.cross(source, PermissionDenied)
        self.cross(destination, NotADirectory)
        node, existing = self.find(source), self.find(destination)
        if node is None:
            raise NotFound
        if source == destination:
            raise AlreadyExists
        if destination.startswith(source + "/"):
            raise FileSystemError
        if existing is not None:
            if type(existing) is not type(node):
                raise FileSystemError
            if not overwrite:
                raise AlreadyExists
            if isinstance(existing, Directory) and existing.children:
                raise FileSystemError
        if self.find(destination.rsplit("/", 1)[0] or "/") is None:
            raise NotFound
        self.move(source, destination)

    def move(self, source: str, destination: str) -> None:
        node = self.parent(source).children.pop(source.rsplit("/", 1)[1])
        self.parent(destination).children[destination.rsplit("/", 1)[1]] = node

    def concat(self, target: str, sources: list[str]) -> None:
        file = self.closed_file(target)
        if file.holder:
            raise InvalidRequest
        found = []
        for source in sources:
            other = self.closed_file(source)
            beside = source.rsplit("/", 1)[0] == target.rsplit("/", 1)[0]
            if not beside or other is file or other.holder or not other.blocks:
                raise InvalidRequest
            found.append(other)
        if len({id(other) for other in found}) < len(found):
            raise InvalidRequest
        for source, other in zip(sources, found, strict=True):
            file.blocks += other.blocks
            del self.parent(source).children[source.rsplit("/", 1)[1]]

    def truncate(self, path: str, keep: int) -> None:
        file = self.closed_file(path)
        if file.holder:
            raise AlreadyBeingCreated
        del file.blocks[keep:]


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
HOLDERS = st.sampled_from(["h1", "h2"])
SIZES = st.lists(st.sampled_from([1, 500, BLOCK]), max_size=4)


def outcome(operation: Callable[[], object]) -> object:
    """What an operation answers, or the error that it raises."""
    try:
        return operation()
    except CairnError as error:
        return error


class NamespaceMachine(RuleBasedStateMachine):
    @initialize(inline=st.sampled_from([1, 2, 1000]))
    def begin(self, inline: int) -> None:
        self.world = World(NamespaceSettings(delete_inline_max=inline))
        self.model = Model()

    def both(self, real: Callable[[], object], model: Callable[[], object]) -> None:
        """Run both: the same class of error, or the same answer where the model has one."""
        self.world.now_ms += 1
        expected, answer = outcome(model), outcome(real)
        if isinstance(expected, CairnError) or isinstance(answer, CairnError):
            assert type(answer) is type(expected), (answer, expected)
        elif expected is not None:
            assert answer == expected

    @rule(path=PATHS)
    def mkdirs(self, path: str) -> None:
        self.both(lambda: self.world.mkdirs(path), lambda: self.model.mkdirs(path))

    @rule(path=PATHS, holder=HOLDERS, overwrite=st.booleans())
    def create(self, path: str, holder: str, overwrite: bool) -> None:
        flag = OVERWRITE if overwrite else CREATE
        self.both(
            lambda: self.world.create(path, holder=holder, flag=flag),
            lambda: self.model.create(path, holder, overwrite),
        )

    @rule(path=PATHS, holder=HOLDERS, sizes=SIZES, by_id=st.booleans())
    def write_and_close(self, path: str, holder: str, sizes: list[int], by_id: bool) -> None:
        def model() -> None:
            node = self.model.find(path)
            if isinstance(node, File) and not node.holder and not sizes:
                # An answer that was lost: to end it again with the same block is no error.
                return
            file = self.model.open_file(path, holder)
            file.blocks += sizes
            file.holder = None

        def real() -> None:
            found = self.world.stat(path)
            blocks = self.world.blocks(path) if found and found.children < 0 else None
            previous = None
            if blocks and blocks.last:
                last = blocks.last.block
                # As after an append of a new block, or to a file that was left open.
                previous = Block(last.block_id, last.generation_stamp, last.num_bytes)
            file_id = found.inode_id if found and by_id else 0
            if not sizes:
                self.world.complete(path, previous, holder, file_id)
                return
            final = self.world.fill(path, sizes, previous, holder)
            assert self.world.complete(path, final, holder, file_id).done

        self.both(real, model)

    @rule(path=PATHS, holder=HOLDERS)
    def append(self, path: str, holder: str) -> None:
        self.both(
            lambda: self.world.append(path, holder, new_block=True),
            lambda: self.model.append(path, holder),
        )

    @rule(path=PATHS, recursive=st.booleans())
    def delete(self, path: str, recursive: bool) -> None:
        self.both(
            lambda: self.world.delete(path, recursive=recursive).deleted,
            lambda: self.model.delete(path, recursive),
        )

    @rule(source=PATHS, destination=PATHS)
    def rename(self, source: str, destination: str) -> None:
        self.both(
            lambda: self.world.rename(source, destination),
            lambda: self.model.rename(source, destination),
        )

    @rule(source=PATHS, destination=PATHS, overwrite=st.booleans())
    def rename2(self, source: str, destination: str, overwrite: bool) -> None:
        self.both(
            lambda: self.world.rename2(source, destination, overwrite=overwrite),
            lambda: self.model.rename2(source, destination, overwrite),
        )

    @rule(path=PATHS, mode=st.integers(0, 0o1777))
    def chmod(self, path: str, mode: int) -> None:
        def model() -> None:
            self.model.cross(path, PermissionDenied)
            node = self.model.find(path)
            if node is None:
                raise NotFound
            node.mode = mode

        self.both(lambda: self.world.chmod(path, mode), model)

    @rule(path=PATHS, sources=st.lists(PATHS, min_size=1, max_size=2))
    def concat(self, path: str, sources: list[str]) -> None:
        self.both(
            lambda: self.world.write(
                lambda tx: concat.concat(self.world.ns, tx, ROOT, self.world.now_ms, path, sources)
            ),
            lambda: self.model.concat(path, sources),
        )

    @rule(path=PATHS, keep=st.integers(0, 4))
    def truncate(self, path: str, keep: int) -> None:
        file = self.model.find(path)
        length = sum(file.blocks[:keep]) if isinstance(file, File) else 0
        self.both(
            lambda: self.world.write(
                lambda tx: truncating.truncate(
                    self.world.ns,
                    tx,
                    self.world.replicas,
                    ROOT,
                    self.world.now_ms,
                    path,
                    length,
                    "cutter",
                )
            ),
            lambda: self.model.truncate(path, keep),
        )

    @rule(limit=st.integers(1, 5))
    def collect(self, limit: int) -> None:
        self.world.collect(limit)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    @invariant()
    def trees_are_the_same(self) -> None:
        if hasattr(self, "world"):
            self.compare("", self.model.root)

    def compare(self, path: str, node: Directory) -> None:
        found = self.world.names(path or "/")
        assert found == sorted(name.encode() for name in node.children)
        status = self.world.stat(path or "/")
        assert status is not None
        assert (status.children, status.mode) == (len(node.children), node.mode)
        for name, child in node.children.items():
            if isinstance(child, Directory):
                self.compare(f"{path}/{name}", child)
                continue
            inode = self.world.inode(f"{path}/{name}")
            assert inode.length == sum(child.blocks)
            assert (inode.mode, inode.under_construction) == (child.mode, bool(child.holder))
            sizes = [block.num_bytes for block in self.world.blocks(f"{path}/{name}").blocks]
            assert sizes == child.blocks

    def teardown(self) -> None:
        """All garbage goes, and leaves nothing behind."""
        if not hasattr(self, "world"):
            return
        while self.world.collect(2).more:
            self.world.check()
        for name in list(self.model.root.children):
            self.world.delete(f"/{name}")
        while self.world.collect(100).more:
            pass
        self.world.check()
        assert self.world.block_ids() == set()
        left = self.world.read(lambda tx: {key[:1] for key, _ in tx.scan(b"\0", b"\xff")})
        assert left == {b"D", b"I", b"M", b"N", b"U"}


TestNamespaceModel = NamespaceMachine.TestCase
TestNamespaceModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
