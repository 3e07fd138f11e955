"""The address that the page Localization had; old links lead on, with all that they say."""

import streamlit as st

st.switch_page("pages/localization.py", query_params=st.query_params.to_dict())
