from collections.abc import Mapping

from topologies.analysis import Measures as Measures
from topologies.analysis import measure as measure
from topologies.catalogue import Family as Family
from topologies.catalogue import build as build
from topologies.catalogue import families as families
from topologies.checks import SizeError as SizeError
from topologies.drawing import draw as draw
from topologies.drawing import draw_all as draw_all
from topologies.files import from_file as from_file
from topologies.graphs.erdos_renyi import erdos_renyi as erdos_renyi
from topologies.graphs.exponential import exponential as exponential
from topologies.graphs.full_mesh import full_mesh as full_mesh
from topologies.graphs.hierarchy import hierarchy as hierarchy
from topologies.graphs.hypercube import hypercube as hypercube
from topologies.graphs.line import line as line
from topologies.graphs.one_way_ring import one_way_ring as one_way_ring
from topologies.graphs.one_way_trust import one_way_trust as one_way_trust
from topologies.graphs.partial_mesh import partial_mesh as partial_mesh
from topologies.graphs.ring import ring as ring
from topologies.graphs.scale_free import scale_free as scale_free
from topologies.graphs.small_world import small_world as small_world
from topologies.graphs.star import star as star
from topologies.graphs.torus import torus as torus
from topologies.lists import Lists as Lists
from topologies.lists import trust_lists as trust_lists
from topologies.members import check as check
from topologies.members import for_members as for_members
from topologies.members import graph_in_file as graph_in_file
from topologies.mixing import best_constant_weights as best_constant_weights
from topologies.mixing import max_degree_weights as max_degree_weights
from topologies.mixing import metropolis_weights as metropolis_weights
from topologies.mixing import mixing_weights as mixing_weights
from topologies.mixing import push_weights as push_weights
from topologies.mixing import receive_weights as receive_weights
from topologies.mixing import without_messages as without_messages
from topologies.schedules import Schedule as Schedule
from topologies.schedules import static as static
from topologies.spectra import rho as rho
from topologies.spectra import rounds_to_consensus as rounds_to_consensus
from topologies.spectra import slem as slem
from topologies.spectra import spectral_gap as spectral_gap
from topologies.spectra import stationary_distribution as stationary_distribution

FAMILIES: Mapping[str, str]
EXPORTS: Mapping[str, str]

def load(path: str) -> object: ...
