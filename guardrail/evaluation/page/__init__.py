"""The evaluation as one self-contained HTML file: its pictures, tables and worst items."""
