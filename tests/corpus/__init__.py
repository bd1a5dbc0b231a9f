"""Recorded bytes of every released version, replayed for ever: valid ones mean what they meant, hostile ones
are refused.

One JSON object a line.  ``python -m tests.corpus.record`` writes the files of the present version anew, for
as long as it is not released; those of earlier versions never change.
"""
