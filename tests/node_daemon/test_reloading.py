from node_daemon import reloading
from node_daemon.sections import Settings

LIST = ("list", "list")


def settings(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate({"node": {"name": "me"}, **sections})


def test_what_can_be_in_force_at_once_is_told_from_what_needs_a_restart() -> None:
    running = settings(network={"port": 1, "static": ["a:1"]}, protocol={"rounds": 5, "patience": 2})
    found = settings(
        network={"port": 2, "static": ["a:1", "b:2"]},
        protocol={"rounds": 5},
        log={"level": "debug"},
        limits={"connect_s": 1.5},
    )

    answer = reloading.answer(reloading.changes(running, found, modes=("list", "ticket")))

    assert answer == {
        "applied": [
            {"key": "limits.connect_s", "old": 5.0, "new": 1.5},
            {"key": "log.level", "old": "info", "new": "debug"},
            {"key": "network.static", "old": ["a:1"], "new": ["a:1", "b:2"]},
        ],
        "needs_restart": [
            {"key": "network.port", "old": 1, "new": 2},
            {"key": "protocol.patience", "old": 2, "new": None},
            {"key": "trust.mode", "old": "list", "new": "ticket"},
        ],
    }


def test_a_change_that_needs_a_restart_is_named_again_until_it_is_made() -> None:
    running = settings(network={"port": 1})
    found = settings(network={"port": 2, "static": ["b:2"]}, log={"level": "error"})

    after = reloading.taken_up(running, found)

    assert (after.network.port, after.network.static, after.log.level) == (1, ["b:2"], "error")
    assert [change.key for change in reloading.changes(after, found, modes=LIST)] == ["network.port"]
    assert reloading.changes(running, running, modes=LIST) == []


def test_the_log_has_the_changes_in_words() -> None:
    found = reloading.changes(settings(), settings(node={"name": "you"}), modes=LIST)

    assert reloading.report(found) == {"applied": [], "needs_restart": ["node.name: me -> you"]}
