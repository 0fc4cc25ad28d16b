"""How threads wait for each other."""

from __future__ import annotations

from core.threads import SPINS, wait_briefly


def test_threads_spin_shortly_unless_a_policy_is_set() -> None:
    plain: dict[str, str] = {}
    wait_briefly(plain)
    assert plain == {"GOMP_SPINCOUNT": str(SPINS)}
    for chosen in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}):
        found = dict(chosen)
        wait_briefly(found)
        assert found == chosen
