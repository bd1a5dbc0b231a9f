"""``p2pnode doctor``: named checks of this machine, each with a remedy.

A check is a function from a ``Case`` to findings, and one line in ``checks.CHECKS``.
"""
