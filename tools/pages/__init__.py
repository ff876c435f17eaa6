"""HTML pages that need no network: text, tables, charts as inline SVG, and embedded images."""

from .charts import DIFFERENCE as DIFFERENCE
from .html import EmbeddedImage as EmbeddedImage
from .html import Html as Html
from .html import definitions as definitions
from .html import details as details
from .html import element as element
from .html import gallery as gallery
from .html import paragraph as paragraph
from .html import preformatted as preformatted
from .lines import Series as Series
from .lines import line_chart as line_chart
from .page import Section as Section
from .page import render_page as render_page
from .rank_diagram import rank_diagram as rank_diagram
from .rows import Bar as Bar
from .rows import Interval as Interval
from .rows import bar_chart as bar_chart
from .rows import format_interval as format_interval
from .rows import interval_chart as interval_chart
from .scatter import Point as Point
from .scatter import scatter_chart as scatter_chart
from .scatter import scatter_svg as scatter_svg
from .tables import matrix_table as matrix_table
from .tables import sortable_table as sortable_table
from .tables import table as table
