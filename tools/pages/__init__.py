"""HTML pages that need no network: text, tables, charts as inline SVG, and embedded images."""

from .charts import DIFFERENCE as DIFFERENCE
from .charts import Bar as Bar
from .charts import Interval as Interval
from .charts import Series as Series
from .charts import bar_chart as bar_chart
from .charts import format_interval as format_interval
from .charts import interval_chart as interval_chart
from .charts import line_chart as line_chart
from .html import EmbeddedImage as EmbeddedImage
from .html import Html as Html
from .html import definitions as definitions
from .html import details as details
from .html import element as element
from .html import gallery as gallery
from .html import paragraph as paragraph
from .html import preformatted as preformatted
from .page import Section as Section
from .page import render_page as render_page
from .scatter import Point as Point
from .scatter import scatter_chart as scatter_chart
from .scatter import scatter_svg as scatter_svg
from .tables import matrix_table as matrix_table
from .tables import table as table
