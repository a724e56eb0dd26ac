"""Mining on two nodes that share no network but a cable: two namespaces joined as a Ray cluster."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.mining.local import mine
from tests.helpers.corpora import write_ids, zipf_documents

pytest.importorskip("ray", reason="needs ray, the extra of that name")

HEAD, WORKER = "10.213.77.1", "10.213.77.2"
PORT = 6397
PROGRAM = """
import json, sys, time, ray
from pathlib import Path
from engramctl.corpus.corpus import Corpus
from engramctl.mining.ray_engine import mine_on_ray
ray.init(address=sys.argv[1], include_dashboard=False, log_to_driver=False)
alive = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
mine_on_ray(Corpus.open([Path(sys.argv[2])]), Path(sys.argv[3]))
where = ray.remote(lambda: (time.sleep(0.5), ray.util.get_node_ip_address())[1])
ran = ray.get([where.options(scheduling_strategy="SPREAD").remote() for _ in range(6)])
print(json.dumps({"alive": sorted(alive), "ran": sorted(set(ran))}))
"""


def run(*words: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = f"engram{os.getpid()}a", f"engram{os.getpid()}b"
    try:
        try:
            for name in names:
                run("ip", "netns", "add", name)
            cable = [f"eg{os.getpid()}{end}" for end in "ab"]
            run("ip", "link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
            for name, end, address in zip(names, cable, (HEAD, WORKER), strict=True):
                run("ip", "link", "set", end, "netns", name)
                inside = ("ip", "netns", "exec", name, "ip")
                run(*inside, "address", "add", f"{address}/24", "dev", end)
                run(*inside, "link", "set", end, "up")
                run(*inside, "link", "set", "lo", "up")
        except RuntimeError as error:
            pytest.skip(f"this machine allows no network namespaces: {str(error)[:200]}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.fixture
def cluster(namespaces: tuple[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A head node in one namespace and a worker node in the other; the head's, and what to set."""
    env = {**os.environ, "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
    env |= {"RAY_AUTH_MODE": "token", "PYTHONPATH": os.getcwd()}
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # short: sockets lie in it
    env["RAY_TMPDIR"] = folder  # else later tests would find this cluster and join it
    ray = str(Path(sys.executable).with_name("ray"))
    inside = [("ip", "netns", "exec", name) for name in namespaces]
    common = ("--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats")
    try:
        head = (f"--node-ip-address={HEAD}", f"--port={PORT}", "--include-dashboard=false")
        run(*inside[0], ray, "start", "--head", *head, *common, env=env)
        worker = (f"--address={HEAD}:{PORT}", f"--node-ip-address={WORKER}")
        run(*inside[1], ray, "start", *worker, *common, env=env)
        yield namespaces[0], env
    finally:
        for name in namespaces:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            subprocess.run(["kill", "-9", *pids.stdout.split()], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_two_nodes_give_the_files_of_the_local_engine(
    cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    name, env = cluster
    documents = zipf_documents(7, 30_000, 129_280)
    source = write_ids(tmp_path / "ids.parquet", documents, row_group_size=40)
    words = ("ip", "netns", "exec", name, sys.executable, "-c", PROGRAM)
    told = json.loads(run(*words, f"{HEAD}:{PORT}", str(source), str(tmp_path / "ray"), env=env))
    assert told == {"alive": [HEAD, WORKER], "ran": [HEAD, WORKER]}
    mine(Corpus.open([source]), tmp_path / "local")
    for file in (tmp_path / "local").glob("order*.parquet"):
        assert (tmp_path / "ray" / file.name).read_bytes() == file.read_bytes()
