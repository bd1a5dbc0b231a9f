"""Parts of the failure detector that know ids and times only: patience, news, contacts, tombstones."""
